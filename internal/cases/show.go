package cases

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// Report is what came of one file.
type Report struct {
	File   string   `json:"file"`
	Error  string   `json:"error,omitempty"` // it could not be run
	Tests  []Result `json:"tests"`
	Took   float64  `json:"seconds"`
	Passed int      `json:"passed"`
	Failed int      `json:"failed"`

	Updated int `json:"updated,omitempty"` // failed, and the file says now what they do
}

// Result is what came of one test.
type Result struct {
	Name        string       `json:"name"`
	Line        int          `json:"line"`
	Passed      bool         `json:"passed"`
	Updated     bool         `json:"updated,omitempty"`
	Took        float64      `json:"seconds"`
	Differences []Difference `json:"differences,omitempty"`
	Notes       []Note       `json:"notes,omitempty"` // for who looks for the cause

	test *Test
}

// Add takes down what came of a test.
func (r *Report) Add(t *Test, o *Outcome) {
	result := Result{Name: t.Name, Line: t.Line, Took: o.Took.Seconds(), Differences: t.Compare(o), test: t}
	for _, n := range o.Notes {
		if !n.Fails {
			result.Notes = append(result.Notes, n)
		}
	}
	r.Took += result.Took
	if result.Passed = len(result.Differences) == 0; result.Passed {
		r.Passed++
	} else {
		r.Failed++
	}
	r.Tests = append(r.Tests, result)
}

// WereUpdated notes that the file says now what the tests do that failed, but those
// whose functions failed.
func (r *Report) WereUpdated(outcomes map[*Test]*Outcome) {
	for i := range r.Tests {
		t := &r.Tests[i]
		if o := outcomes[t.test]; !t.Passed && t.test.mendable(o) {
			t.Updated = true
			r.Failed, r.Updated = r.Failed-1, r.Updated+1
		}
	}
}

// Printer writes reports for people.
type Printer struct {
	Out   io.Writer
	Color bool
}

func (p *Printer) paint(color, text string) string {
	if !p.Color || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

const (
	red, green, grey, bold = "31", "32", "90", "1"
)

// Print writes what came of a file. Of tests that pass it is a line each.
func (p *Printer) Print(r *Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.paint(bold, r.File))
	for i := range r.Tests {
		t := &r.Tests[i]
		word := p.paint(green, "ok  ")
		switch {
		case t.Updated:
			word = p.paint(bold, "new ")
		case !t.Passed:
			word = p.paint(red, "FAIL")
		}
		fmt.Fprintf(&b, "  %s  %s %s\n", word, plain(t.Name), p.paint(grey, "("+brief(t.Took)+")"))
		if !t.Passed {
			p.differences(&b, t)
		}
	}
	_, err := io.WriteString(p.Out, b.String())
	return err
}

// differences tells them event by event, each with what is known of its cause.
func (p *Printer) differences(b *strings.Builder, r *Result) {
	for n := range r.test.Events {
		told := false
		head := func() {
			if e := &r.test.Events[n]; !told {
				fmt.Fprintf(b, "      event %d at %s: %s%s\n", n+1, agent.DurationText(e.At), plain(e.what()), p.paint(grey, dataNote(e.given.Data)))
			}
			told = true
		}
		for i := range r.Differences {
			if d := &r.Differences[i]; d.Event == n+1 {
				head()
				p.difference(b, "        ", d)
			}
		}
		for _, note := range r.Notes {
			if note.Event == n+1 {
				head()
				fmt.Fprintf(b, "        %s %s\n", p.paint(grey, "note:"), plain(note.Text))
			}
		}
	}
	for i := range r.Differences {
		if d := &r.Differences[i]; d.Event == 0 {
			p.difference(b, "      ", d)
		}
	}
}

func (p *Printer) difference(b *strings.Builder, in string, d *Difference) {
	where := ""
	if d.Line > 0 {
		where = fmt.Sprintf(" (line %d)", d.Line)
	}
	fmt.Fprintf(b, "%s%s %s%s\n", in, plain(d.What), p.paint(red, plain(d.Reason)), p.paint(grey, where))
	p.rows(b, in+"  ", d.Rows)
}

func dataNote(data []byte) string {
	if len(data) == 0 {
		return ""
	}
	return "  " + cut(plain(string(data)), 60)
}

const widestCell = 36

// rows shows what was wanted and what came side by side, or below each other where
// that is too wide; alone, if only one of them is there.
func (p *Printer) rows(b *strings.Builder, in string, rows []Row) {
	names, wants, wide := 0, len("wanted"), false
	for i := range rows {
		r := &rows[i]
		r.Name, r.Wanted, r.Got = plain(r.Name), plain(r.Wanted), plain(r.Got)
		want := utf8.RuneCountInString(r.Wanted)
		names, wants = max(names, utf8.RuneCountInString(r.Name)), max(wants, want)
		wide = wide || want > widestCell || utf8.RuneCountInString(r.Got) > 2*widestCell
	}
	alone := !slices.ContainsFunc(rows, func(r Row) bool { return r.Wanted != "" && r.Got != "" })
	if !alone && !wide {
		fmt.Fprintf(b, "%s%s\n", in, p.paint(grey, pad("", names)+"  "+pad("wanted", wants)+"  got"))
	}
	for _, r := range rows {
		name, want, got := pad(r.Name, names), p.paint(green, r.Wanted), p.paint(red, r.Got)
		switch {
		case alone:
			fmt.Fprintf(b, "%s%s  %s%s\n", in, name, want, got)
		case wide:
			fmt.Fprintf(b, "%s%s  wanted  %s\n%s%s  got     %s\n", in, name, want, in, pad("", names), got)
		default:
			fmt.Fprintf(b, "%s%s  %s  %s\n", in, name, p.paint(green, pad(r.Wanted, wants)), got)
		}
	}
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// plain keeps what would move a terminal's cursor, or worse, from doing so.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, text)
}

func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

func brief(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Millisecond).String()
}
