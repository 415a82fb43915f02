package logbook

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"time"
)

// functionSays is the message of lines that a function logged itself; agent
// writes them with the attributes function, event and text.
const functionSays = "function says"

// handler is the slog.Handler of a Book.
type handler struct {
	book   *Book
	next   slog.Handler
	prefix string // of groups: "a.b."
	attrs  Attrs  // of With
}

func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.book.opts.Level
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	h.book.handle(mention{by: h, rec: r})
	return nil // a log that cannot be written has nobody to tell
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next, with.attrs = h.next.WithAttrs(attrs), slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = flatten(with.attrs, h.prefix, a)
	}
	return &with
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.next, with.prefix = h.next.WithGroup(name), h.prefix+name+"."
	return &with
}

// flatten appends what a holds.
func flatten(to Attrs, prefix string, a slog.Attr) Attrs {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		if a.Key == "" {
			return to
		}
		return append(to, Attr{prefix + a.Key, text(v)})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, in := range v.Group() {
		to = flatten(to, prefix, in)
	}
	return to
}

// text is a value in the form that the process's own log gives it.
func text(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format(time.RFC3339Nano)
	}
	return v.String()
}

// mention is a line as it was logged.
type mention struct {
	by    *handler
	rec   slog.Record
	attrs Attrs // of both; set by read
}

// read takes the attributes out.
func (m *mention) read() {
	m.attrs = make(Attrs, len(m.by.attrs), len(m.by.attrs)+m.rec.NumAttrs())
	copy(m.attrs, m.by.attrs)
	m.rec.Attrs(func(a slog.Attr) bool {
		m.attrs = flatten(m.attrs, m.by.prefix, a)
		return true
	})
}

func (m *mention) said() bool { return m.rec.Message == functionSays }

// of is the function that said it or that it is about, "" for none.
func (m *mention) of() string { return m.attrs.Get("function") }

// line is what readers get.
func (m *mention) line() Line {
	l := Line{Time: m.rec.Time, Level: m.rec.Level, Text: m.rec.Message, Said: m.said()}
	for _, a := range m.attrs {
		switch {
		case a.Key == "function":
			l.Function = a.Value
		case a.Key == "event":
			l.Event = a.Value
		case l.Said && a.Key == "text":
			l.Text = a.Value
		default:
			l.Attrs = append(l.Attrs, a)
		}
	}
	return l
}

var seed = maphash.MakeSeed()

// key is the same for lines that say the same: of what differs from event to
// event nothing is in it.
func (m *mention) key() uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	h.WriteByte(byte(m.rec.Level))
	h.WriteString(m.rec.Message)
	for _, a := range m.attrs {
		switch a.Key {
		case "event", "id", "record", "attempt", "attempts", "wait", "topic", "key":
			continue
		}
		h.WriteByte(0)
		h.WriteString(a.Key)
		h.WriteByte('=')
		h.WriteString(a.Value)
	}
	return h.Sum64()
}
