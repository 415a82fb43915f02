package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// eventPrinter prints events, one a line.
type eventPrinter struct {
	out   io.Writer
	json  bool // lines as in a recording, without its header
	width int  // lines are cut to it; 0: they are not
	start time.Time
	line  []byte
}

func (p *eventPrinter) print(e *recording.Entry) (err error) {
	switch {
	case p.json:
		if p.line, err = recording.AppendEntry(p.line[:0], e); err != nil {
			return err
		}
	case e.Event == nil:
		p.line = fmt.Appendf(p.line[:0], "%s  %d events are missing here: this is too slow for them\n", p.clock(e), e.Gap)
	default:
		p.line = append(p.line[:0], cutTo(p.width, p.text(e))...)
		p.line = append(p.line, '\n')
	}
	_, err = p.out.Write(p.line)
	return err
}

func (p *eventPrinter) clock(e *recording.Entry) string {
	return p.start.Add(e.At).Local().Format("15:04:05.000")
}

// text is an event for people: when, through what, the topic, the data.
func (p *eventPrinter) text(e *recording.Entry) string {
	ev := e.Event
	marks := ""
	if ev.Retained {
		marks = " (retained)"
	}
	return fmt.Sprintf("%s  %-8s %s%s  %s", p.clock(e), ev.Via, plainText([]byte(ev.Subject)), marks, eventData(ev))
}

// shownBytes is how much of what is no text is shown.
const shownBytes = 32

// eventData is an event's data for people: text as it is, else bytes in hex.
func eventData(ev *agent.Event) string {
	data := ev.Data
	if utf8.Valid(data) {
		return plainText(data)
	}
	more := ""
	if len(data) > shownBytes {
		more = "…"
	}
	return fmt.Sprintf("%x%s (%s)", data[:min(len(data), shownBytes)], more, agent.BytesText(int64(len(data))))
}

// plainText keeps what would move a terminal's cursor, or worse, from doing so.
func plainText(text []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, string(text))
}

// cutTo cuts a line to a width in characters; 0 leaves it.
func cutTo(width int, line string) string {
	if width <= 0 || utf8.RuneCountInString(line) < width {
		return line
	}
	return string([]rune(line)[:width-1]) + "…"
}
