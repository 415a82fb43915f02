package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// topSorts are the orders of rows, by name or with the most first.
var topSorts = []string{"rate", "errors", "p99", "waiting", "memory", "name"}

func sortRows(rows []topRow, by string) []topRow {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b topRow) int {
		most := 0
		switch by {
		case "rate":
			most = cmp.Compare(b.Rate, a.Rate)
		case "errors":
			most = cmp.Or(cmp.Compare(b.Errors, a.Errors), cmp.Compare(b.Failed, a.Failed))
		case "p99":
			most = cmp.Compare(b.P99us, a.P99us)
		case "waiting":
			most = cmp.Compare(b.Waiting, a.Waiting)
		case "memory":
			most = cmp.Compare(b.Memory, a.Memory)
		}
		return cmp.Or(most, cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// filterRows are those whose name holds the text, in any case.
func filterRows(rows []topRow, text string) []topRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r topRow) bool {
		return !strings.Contains(strings.ToLower(r.Name), strings.ToLower(text))
	})
}

// topColumn is a column of a table; a number stands at its right. What is extra is
// left out where there is no room.
type topColumn struct {
	head          string
	number, extra bool
	text          func(r *topRow) string
}

var functionColumns = []topColumn{
	{"FUNCTION", false, false, func(r *topRow) string { return r.Name }},
	{"RUNS/S", true, false, func(r *topRow) string { return rateNumber(r.Rate) }},
	{"FAIL/S", true, false, func(r *topRow) string { return rateNumber(r.Errors) }},
	{"FAILED", true, true, func(r *topRow) string { return fmt.Sprint(r.Failed) }},
	{"P50", true, false, func(r *topRow) string { return shortTime(r.P50us) }},
	{"P99", true, false, func(r *topRow) string { return shortTime(r.P99us) }},
	{"WAIT", true, false, func(r *topRow) string { return fmt.Sprint(r.Waiting) }},
	{"MEMORY", true, false, func(r *topRow) string { return shortBytes(r.Memory) }},
	{"STATE", false, false, func(r *topRow) string { return r.State }},
}

var sourceColumns = []topColumn{
	{"SOURCE", false, false, func(r *topRow) string { return r.Name }},
	{"KIND", false, false, func(r *topRow) string { return r.Kind }},
	{"UNACKED", true, false, func(r *topRow) string { return fmt.Sprint(r.Waiting) }},
	{"STATE", false, false, func(r *topRow) string { return r.State + note(r.Note) }},
}

var targetColumns = []topColumn{
	{"TARGET", false, false, func(r *topRow) string { return r.Name }},
	{"KIND", false, false, func(r *topRow) string { return r.Kind }},
	{"SENT/S", true, false, func(r *topRow) string { return rateNumber(r.Rate) }},
	{"FAIL/S", true, false, func(r *topRow) string { return rateNumber(r.Errors) }},
	{"DEAD", true, false, func(r *topRow) string { return fmt.Sprint(r.Dead) }},
	{"WAIT", true, false, func(r *topRow) string { return fmt.Sprint(r.Waiting) }},
	{"UP/S", true, false, func(r *topRow) string { return shortBytes(int64(r.Up)) }},
	{"STATE", false, false, func(r *topRow) string { return r.State }},
}

// layOut writes a table of which no line is wider than width (0: as wide as need
// be): extra columns go, the first one gives way down to its half or 24, the last is cut.
func layOut(columns []topColumn, rows []topRow, width int) (head string, lines []string) {
	cells, wide := cellsOf(columns, rows)
	if width > 0 && over(wide, width) > 0 {
		columns = slices.DeleteFunc(slices.Clone(columns), func(c topColumn) bool { return c.extra })
		cells, wide = cellsOf(columns, rows)
		wide[0] -= min(max(0, over(wide, width)), max(0, wide[0]-max(16, min(24, wide[0]/2))))
	}
	for _, row := range cells {
		var b strings.Builder
		for i, text := range row {
			if i > 0 {
				b.WriteString("  ")
			}
			pad := strings.Repeat(" ", max(0, wide[i]-utf8.RuneCountInString(text)))
			switch {
			case columns[i].number:
				b.WriteString(pad + text)
			case i == len(row)-1:
				b.WriteString(text)
			default:
				b.WriteString(cutName(text, wide[i]) + pad)
			}
		}
		lines = append(lines, fitted(width, b.String()))
	}
	return lines[0], lines[1:]
}

// cellsOf are the texts of a table with its head, and how wide its columns are.
func cellsOf(columns []topColumn, rows []topRow) (cells [][]string, wide []int) {
	wide = make([]int, len(columns))
	for n := range len(rows) + 1 {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = c.head
			if n > 0 {
				row[i] = shown(c.text(&rows[n-1]))
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(row[i]))
		}
		cells = append(cells, row)
	}
	return cells, wide
}

// over is by how much a table is wider than width.
func over(wide []int, width int) int {
	all := 2 * (len(wide) - 1)
	for _, w := range wide {
		all += w
	}
	return all - width
}

// fitted cuts a line to a width; 0 leaves it.
func fitted(width int, line string) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}

// cutName shortens a name in its middle: its ends tell it apart.
func cutName(name string, width int) string {
	runes := []rune(name)
	if len(runes) <= width {
		return name
	}
	head := (width - 1) / 2
	return string(runes[:head]) + "…" + string(runes[len(runes)-(width-1-head):])
}

func rateNumber(r float64) string {
	switch {
	case r == 0:
		return "0"
	case r < 10:
		return fmt.Sprintf("%.1f", r)
	case r < 10_000:
		return fmt.Sprintf("%.0f", r)
	}
	return fmt.Sprintf("%.1fk", r/1000)
}

func shortTime(us int64) string {
	if us == 0 {
		return "-"
	}
	return round(time.Duration(us) * time.Microsecond).String()
}

func shortBytes(n int64) string {
	if n == 0 {
		return "-"
	}
	return strings.ReplaceAll(agent.BytesText(n), " ", "")
}

// headLines tell how the agent is, in 3 lines.
func (t *topTable) headLines() []string {
	apps := "no app"
	if len(t.Apps) > 0 {
		apps = strings.Join(t.Apps, ", ")
	}
	return []string{
		fmt.Sprintf("%s  skerry %s, up %s, generation %d: %s", t.Device, t.Version, time.Duration(t.Uptime)*time.Second, t.generation, apps),
		fmt.Sprintf("%s events/s  %s runs/s  %s failed/s  %s/s up  p50 %s  p99 %s", rateNumber(t.Events), rateNumber(t.Runs), rateNumber(t.Failures),
			agent.BytesText(int64(t.BytesUp)), shortTime(t.P50us), shortTime(t.P99us)),
		fmt.Sprintf("memory %s  disk %s of %s  %d records wait  %s", agent.BytesText(t.RSSBytes), agent.BytesText(t.Journal), agent.BytesText(t.Quota),
			t.Records, agent.CountText(t.Dead, "dead letter")),
	}
}

// print writes the tables as text, for a pipe or a file.
func (t *topTable) print(sort, filter string) string {
	lines := append(t.headLines(), prefixed("! ", t.Attention)...)
	for _, part := range t.parts(sort, filter) {
		if len(part.rows) == 0 {
			continue
		}
		head, rows := layOut(part.columns, part.rows, 0)
		lines = append(append(lines, "", head), rows...)
	}
	return strings.Join(lines, "\n") + "\n"
}

func prefixed(prefix string, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = prefix + l
	}
	return out
}

// topPart is one of the three tables.
type topPart struct {
	name    string
	columns []topColumn
	rows    []topRow
}

func (t *topTable) parts(sort, filter string) []topPart {
	rows := func(all []topRow) []topRow { return sortRows(filterRows(all, filter), sort) }
	return []topPart{
		{"functions", functionColumns, rows(t.Functions)},
		{"sources", sourceColumns, rows(t.Sources)},
		{"targets", targetColumns, rows(t.Targets)},
	}
}
