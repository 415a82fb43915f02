package cases

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// Effect is one thing that a function did.
type Effect struct {
	Event    int           // number of the event that led to it; 0: none of the test's
	At       time.Duration // since the start of the test
	Function string        // without its app
	Trigger  string
	Kind     string
	Fields   []Field // all that it has, but what is empty
	Data     []byte
}

// Outcome is what came of a test.
type Outcome struct {
	Took    time.Duration
	Err     error    // it could not be run to its end
	Effects []Effect // in the order in which they took effect
	Notes   []Note
	State   func(function, key string) ([]byte, error) // afterwards; nil: there is no such key
}

// Note is what a person should know of a run that is not an effect: that it failed,
// was denied something, or did not take place.
type Note struct {
	Event int    `json:"event"` // its number
	Text  string `json:"text"`
	Fails bool   `json:"-"` // the test fails for it
}

// field is the value of a field of an effect; what is not said of it is as usual.
func (e *Effect) field(f fieldForm) string {
	for _, have := range e.Fields {
		if have.Name == f.name {
			return have.Value
		}
	}
	return f.usual
}

// describe is an effect as an expectation of it, with all that is not as usual, but
// for the QoS: languages differ in what is usual.
func (e *Effect) describe() Want {
	w := Want{Event: e.Event, Kind: e.Kind, At: &e.At}
	for _, f := range shapes[e.Kind].fields {
		if value := e.field(f); value != f.usual && f.name != "qos" && (f.name != "contentType" || value != usualType(e.Data)) {
			w.Fields = append(w.Fields, Field{f.name, value})
		}
	}
	if e.Data == nil && (e.Kind == State || e.Kind == Answer) {
		return w // deleted, or without a body
	}
	w.Data = dataOf(e.Kind, e.Data)
	return w
}

// usualType is the content type of what says none.
func usualType(data []byte) string {
	switch valueOf(data).Form {
	case asJSON:
		return "application/json"
	case asText:
		return "text/plain"
	}
	return "application/octet-stream"
}

// dataOf gives data in the form that people read best.
func dataOf(kind string, data []byte) *Data {
	switch {
	case kind == Dead:
		return &Data{asReason, data}
	case kind == Log:
		return &Data{asText, data}
	}
	return valueOf(data)
}

func valueOf(data []byte) *Data {
	switch _, err := parseJSON(data); {
	case err == nil:
		return &Data{asJSON, bytes.TrimSpace(data)}
	case utf8.Valid(data):
		return &Data{asText, data}
	}
	return &Data{asBytes, data}
}

// head is the field that tells effects of a kind apart.
func (w *Want) head() Field {
	for _, f := range w.Fields {
		switch f.Name {
		case "topic", "target", "function", "key", "level":
			return f
		}
	}
	return Field{}
}

// name says in a few words what an effect is: "publish alerts/s1".
func (w *Want) name() string { return strings.TrimSpace(w.Kind + " " + w.head().Value) }

// rows are all that is said of an expected effect, but its head.
func (w *Want) rows() (rows []Row) {
	for _, f := range w.Fields {
		if f == w.head() {
			continue
		}
		rows = append(rows, Row{Name: f.Name, Wanted: f.Value})
	}
	if w.Data != nil {
		rows = append(rows, Row{Name: string(w.Data.Form), Wanted: w.Data.show()})
	}
	return rows
}

// Row is a part of an effect that is not as expected.
type Row struct {
	Name   string `json:"name"`
	Wanted string `json:"wanted,omitempty"`
	Got    string `json:"got,omitempty"`
}

// differ tells in what an effect is not the expected one.
func (w *Want) differ(e *Effect) (rows []Row) {
	add := func(name, want, got string) {
		if want != got {
			rows = append(rows, Row{name, want, cmp.Or(got, "none")})
		}
	}
	if w.Event != 0 {
		add("event", strconv.Itoa(w.Event), strconv.Itoa(e.Event))
	}
	if w.At != nil {
		add("at", agent.DurationText(*w.At), agent.DurationText(e.At))
	}
	if w.Function != "" {
		add("function", w.Function, e.Function)
	}
	if w.Trigger != "" {
		add("trigger", w.Trigger, e.Trigger)
	}
	for _, f := range shapes[w.Kind].fields {
		for _, want := range w.Fields {
			if want.Name == f.name {
				add(f.name, want.Value, e.field(f))
			}
		}
	}
	if w.Data != nil {
		rows = append(rows, w.Data.differ(e.Data)...)
	}
	return rows
}

// differ tells in what data is not as expected.
func (v *Data) differ(got []byte) []Row {
	row := func(got string) []Row { return []Row{{string(v.Form), v.show(), got}} }
	switch {
	case v.Form == asBytes && !bytes.Equal(v.raw, got):
		return row(base64.StdEncoding.EncodeToString(got))
	case v.Form == asText || v.Form == asReason:
		if !bytes.Equal(v.raw, got) {
			return row(textShown(string(got)))
		}
		return nil
	case v.Form == asBytes:
		return nil
	}
	want, err := parseJSON(v.raw)
	if err != nil { // it was made from a tree
		return row(err.Error())
	}
	have, err := parseJSON(got)
	text, isText := want.(string)
	if isText && v.Form == asPart {
		if whole, ok := have.(string); ok && strings.Contains(whole, text) || bytes.Contains(got, []byte(text)) {
			return nil
		}
		return row(valueOf(got).show())
	}
	if err != nil {
		is := valueOf(got)
		if isText && text == string(got) {
			return row("a text that is no JSON: write text instead of data")
		}
		return row(string(is.Form) + " " + is.show())
	}
	m := matcher{part: v.Form == asPart}
	m.compare(string(v.Form), want, have)
	return m.rows
}
