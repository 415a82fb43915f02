package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// How lines look. A terminal that wants no colours says so (no-color.org).
const (
	lookPlain  = ""
	lookBold   = "1"
	lookDim    = "2"
	lookTurned = "7" // colours the other way round
	lookRed    = "31"
	lookYellow = "33"
)

// screenLine is one line, with how it looks.
type screenLine struct{ style, text string }

func (s *topScreen) draw() {
	width, height := terminalSize()
	var b strings.Builder
	b.WriteString("\x1b[H")
	for _, l := range s.picture(width, height) {
		text := fitted(width, l.text)
		if l.style == lookTurned {
			text += strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
		}
		if l.style != lookPlain && (l.style == lookTurned || os.Getenv("NO_COLOR") == "") {
			text = "\x1b[" + l.style + "m" + text + "\x1b[0m"
		}
		b.WriteString(text + "\x1b[K\r\n")
	}
	text := strings.TrimSuffix(b.String(), "\r\n") // a line end at the bottom would scroll
	io.WriteString(s.out, text+"\x1b[J")           // what cannot be shown is no reason to stop
}

// room is how many lines there are for tables.
func (s *topScreen) room() int {
	_, height := terminalSize()
	return max(3, height-6)
}

// picture is all lines, height of them at most.
func (s *topScreen) picture(width, height int) []screenLine {
	if s.help {
		return helpPicture(height)
	}
	lines := s.head(height)
	foot := s.foot(width)
	tables, chosenLine := s.tables(width)
	room := max(1, height-len(lines)-len(foot))
	if chosenLine < s.top+1 { // its heading, too
		s.top = max(0, chosenLine-1)
	}
	if chosenLine >= s.top+room {
		s.top = chosenLine - room + 1
	}
	s.top = max(0, min(s.top, len(tables)-room))
	tables = tables[s.top:min(len(tables), s.top+room)]
	for range room - len(tables) {
		tables = append(tables, screenLine{})
	}
	lines = append(append(lines, tables...), foot...)
	return lines[:min(len(lines), height)]
}

// head tells how the agent is, and what needs attention.
func (s *topScreen) head(height int) []screenLine {
	var lines []screenLine
	for i, text := range s.table.headLines() {
		lines = append(lines, screenLine{[]string{lookBold, lookPlain, lookPlain}[i], text})
	}
	if s.away != "" {
		lines = append(lines, screenLine{lookRed, fmt.Sprintf("since %s ago: %s", time.Since(s.last.at).Round(time.Second), s.away)})
	}
	most := max(1, min(6, height/5))
	for i, text := range s.table.Attention {
		if i == most-1 && len(s.table.Attention) > most {
			lines = append(lines, screenLine{lookYellow, fmt.Sprintf("! and %d more: skerry status, skerry uplink why", len(s.table.Attention)-i)})
			break
		}
		lines = append(lines, screenLine{lookYellow, "! " + text})
	}
	return append(lines, screenLine{})
}

// tables are the lines of those that are shown, and which of them is chosen.
func (s *topScreen) tables(width int) (lines []screenLine, chosenLine int) {
	s.chosen = max(0, min(s.chosen, len(s.rows())-1))
	row := 0
	for i, part := range s.table.parts(s.sort, s.filter) {
		if s.view != 0 && s.view != i+1 || s.view == 0 && len(part.rows) == 0 {
			continue
		}
		if len(lines) > 0 {
			lines = append(lines, screenLine{})
		}
		head, texts := layOut(part.columns, part.rows, width)
		lines = append(lines, screenLine{lookBold, head})
		for n, text := range texts {
			style := lookPlain
			if part.rows[n].Ill {
				style = lookRed
			}
			if row == s.chosen {
				style, chosenLine = lookTurned, len(lines)
			}
			lines = append(lines, screenLine{style, text})
			row++
		}
	}
	return lines, chosenLine
}

// rows are those of the tables that are shown.
func (s *topScreen) rows() (rows []topRow) {
	for i, part := range s.table.parts(s.sort, s.filter) {
		if s.view == 0 || s.view == i+1 {
			rows = append(rows, part.rows...)
		}
	}
	return rows
}

// foot is what the chosen row has to say, and the keys.
func (s *topScreen) foot(width int) []screenLine {
	var lines []screenLine
	if rows := s.rows(); len(rows) > 0 {
		r := &rows[max(0, min(s.chosen, len(rows)-1))]
		if text := shown(r.Note); text != "" && s.open {
			for _, l := range folded(r.Name+": "+text, width) {
				lines = append(lines, screenLine{lookPlain, l})
			}
		} else if text != "" {
			lines = append(lines, screenLine{lookDim, r.Name + ": " + text})
		}
	}
	view := []string{"all", "functions", "sources", "targets"}[s.view]
	text := fmt.Sprintf(" q quit  s sort: %s  ←→ %s  / filter: %s  space pause  ? help", s.sort, view, s.filter)
	switch {
	case s.typing:
		text = " only names that hold: " + s.filter + "▏ (enter: done, esc: all)"
	case s.paused:
		text = " PAUSED at " + s.table.Time.Format("15:04:05") + strings.Replace(text, "space pause", "space goes on", 1)
	}
	return append(lines, screenLine{lookTurned, text})
}

// folded breaks a text into lines of a width.
func folded(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line+" "+word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}

func helpPicture(height int) []screenLine {
	lines := []screenLine{{lookBold, "skerry top"}}
	for line := range strings.SplitSeq(topHelp, "\n") {
		lines = append(lines, screenLine{lookPlain, line})
	}
	return lines[:min(len(lines), height)]
}

const topHelp = `
  q, Ctrl-C    quit                   s        sort by another column
  ↑ ↓, j k     choose a row           ← →      all, functions, sources, targets
  page up/down, home, end             /        only names that hold a text
  enter        the whole note         space    pause
  esc          no filter              ?        this; any key goes back

  RUNS/S, SENT/S   since the table before     FAIL/S   those that failed
  FAILED, DEAD     since the agent's start    WAIT     what waits for it
  P50, P99         of a run                   MEMORY   of an instance, the most
  STATE            ok, stopped (too many failures), probation (a new version is
                   watched), held, or of a target what skerry uplink says

  What is in the way stands at the top: skerry status, skerry uplink why and
  skerry doctor tell more.`
