package logbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Line is one line of the log, as readers and batches get it.
type Line struct {
	Time     time.Time     `json:"time"`
	Level    slog.Level    `json:"level"`
	Function string        `json:"function,omitempty"` // "app/function" that said it, or that it is about
	Event    string        `json:"event,omitempty"`    // id
	Said     bool          `json:"said,omitempty"`     // by the function itself; else the agent speaks
	Text     string        `json:"text"`
	Attrs    Attrs         `json:"attrs,omitempty"`
	Repeated int           `json:"repeated,omitempty"`  // it stands for so many lines like it; 0: for itself
	LeftOut  int           `json:"left_out,omitempty"`  // it stands for so many lines of its function, this one the last
	Within   time.Duration `json:"within_ns,omitempty"` // in which those came
}

// Attrs are the facts of a line in their order; JSON has them as one object.
type Attrs []Attr

// Attr is one fact; keys of groups are joined by dots.
type Attr struct{ Key, Value string }

// Get returns the value of key, "" if there is none.
func (a Attrs) Get(key string) string {
	for _, at := range a {
		if at.Key == key {
			return at.Value
		}
	}
	return ""
}

// MarshalJSON writes an object.
func (a Attrs) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, at := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(at.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(at.Value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object of texts.
func (a *Attrs) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return fmt.Errorf("attributes are an object: %w", err)
	}
	for d.More() {
		key, err := d.Token() // of an object it is a text
		if err != nil {
			return err
		}
		at := Attr{Key: key.(string)}
		if err := d.Decode(&at.Value); err != nil {
			return err
		}
		*a = append(*a, at)
	}
	return nil
}

// String is the line for people, without its time: what was said, then the facts.
func (l *Line) String() string {
	var b strings.Builder
	b.WriteString(l.Level.String())
	b.WriteByte(' ')
	if l.Said {
		b.WriteString(l.Function + ": ")
	}
	b.WriteString(printable(l.Text))
	if !l.Said && l.Function != "" {
		b.WriteString(" function=" + l.Function)
	}
	if !l.Said && l.Event != "" {
		b.WriteString(" event=" + printable(l.Event))
	}
	for _, at := range l.Attrs {
		value := printable(at.Value)
		if value == "" || strings.ContainsAny(value, " \"=") {
			value = fmt.Sprintf("%q", value)
		}
		b.WriteString(" " + at.Key + "=" + value)
	}
	within := l.Within.Round(100 * time.Millisecond)
	switch {
	case l.LeftOut > 0:
		fmt.Fprintf(&b, " … the last of %d more lines in %s", l.LeftOut, within)
	case l.Repeated > 0:
		fmt.Fprintf(&b, " … repeated %d times in %s", l.Repeated, within)
	}
	return b.String()
}

// printable makes one line of s that a terminal cannot mistake for commands, and in which
// nothing turns the direction of what is written, which lets a text look like another.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}

// lineOverhead is what a line takes beside its texts, bytes.
const lineOverhead = 160

// size is about what the line takes in memory.
func (l *Line) size() int {
	n := lineOverhead + len(l.Text) + len(l.Event) + len(l.Function)
	for i := range l.Attrs {
		n += 32 + len(l.Attrs[i].Key) + len(l.Attrs[i].Value)
	}
	return n
}
