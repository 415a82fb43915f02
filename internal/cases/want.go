package cases

import (
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/agent"
)

// Kinds of effects.
const (
	Publish  = "publish"
	Followup = "followup"
	Emit     = "emit"
	Dead     = "dead"
	Answer   = "answer" // to who posted the event and waits
	Log      = "log"
	State    = "state"
)

// form is how a field of an effect is written.
type form int

const (
	word   form = iota // a text
	number             // a whole number
	flag               // true or false
	length             // "1m30s"
)

// fieldForm says what a field of an effect is.
type fieldForm struct {
	name  string
	form  form
	usual string // what effects have that do not say
}

// shape is what may be said of a kind of effect.
type shape struct {
	fields []fieldForm
	data   []Form // how data may be given
	needed bool   // every one must be expected
}

var anyData = []Form{asJSON, asPart, asText, asBytes}

var shapes = map[string]shape{
	Publish:  {[]fieldForm{{"broker", word, ""}, {"topic", word, ""}, {"qos", number, ""}, {"retain", flag, "false"}}, anyData, true},
	Followup: {[]fieldForm{{"target", word, ""}, {"contentType", word, ""}}, anyData, true},
	Emit:     {[]fieldForm{{"function", word, ""}}, anyData, true},
	Dead:     {[]fieldForm{{"topic", word, ""}, {"attempts", number, ""}}, []Form{asReason, asPart}, true},
	Answer:   {[]fieldForm{{"status", number, "200"}}, anyData, false},
	Log:      {[]fieldForm{{"level", word, ""}}, []Form{asText, asPart}, false},
	State:    {[]fieldForm{{"key", word, ""}, {"deleted", flag, "false"}, {"ttl", length, ""}}, anyData, false},
}

// Field is a part of an effect, as a test has it.
type Field struct{ Name, Value string }

// Form is how data is given.
type Form string

const (
	asJSON   Form = "data"        // compared as JSON
	asPart   Form = "contains"    // a part of it, as JSON, or of a text
	asText   Form = "text"        // compared byte by byte
	asBytes  Form = "data_base64" // compared byte by byte
	asReason Form = "reason"      // of a dead letter; compared byte by byte
)

// Data is what data is to be.
type Data struct {
	Form Form
	raw  []byte // JSON of asJSON and asPart, else the bytes
}

// Want is an effect that is expected. What is not given is not compared.
type Want struct {
	Line     int
	Event    int            // number of the event, from 1; 0: not given
	At       *time.Duration // since the start of the test
	Function string         // that did it
	Trigger  string
	Kind     string
	Fields   []Field
	Data     *Data

	node *yaml.Node
}

func (d *decoder) want(n *yaml.Node, path string) Want {
	w := Want{Line: n.Line, node: n}
	known := keys{
		"event": d.number(&w.Event, 1, 1<<20), "function": d.text(&w.Function), "trigger": d.text(&w.Trigger),
		"at": func(n *yaml.Node, path string) { w.At = new(time.Duration); d.length(w.At)(n, path) },
	}
	for kind := range shapes {
		known[kind] = func(n *yaml.Node, path string) {
			if w.Kind != "" {
				d.fail(n, path, "this entry has %s already: write an entry for each", w.Kind)
				return
			}
			w.Kind = kind
			d.effect(n, path, &w)
		}
	}
	before := len(d.problems)
	d.object(n, path, known)
	if w.Kind == Answer && w.Function+w.Trigger != "" {
		d.fail(n, path, "an answer is for an event: leave function and trigger out, and name the event")
	}
	if w.Kind == "" && len(d.problems) == before {
		d.fail(n, path, "it expects nothing: give it one of %s", strings.Join(slices.Sorted(maps.Keys(shapes)), ", "))
	}
	return w
}

// effect reads what is said of an effect.
func (d *decoder) effect(n *yaml.Node, path string, w *Want) {
	shape, known := shapes[w.Kind], keys{}
	for _, f := range shape.fields {
		known[f.name] = func(n *yaml.Node, path string) {
			w.Fields = append(w.Fields, Field{f.name, d.field(n, path, f.form)})
		}
	}
	for _, form := range shape.data {
		known[string(form)] = func(n *yaml.Node, path string) {
			if w.Data != nil {
				d.fail(n, path, "data is given as %s already: keep one", w.Data.Form)
				return
			}
			w.Data = d.data(n, path, form)
		}
	}
	d.object(n, path, known)
}

// field reads a field in the one way of writing it that effects have, too.
func (d *decoder) field(n *yaml.Node, path string, f form) string {
	var text string
	switch f {
	case number:
		var v int
		d.number(&v, 0, 1<<20)(n, path)
		text = strconv.Itoa(v)
	case flag:
		var v bool
		d.flag(&v)(n, path)
		text = strconv.FormatBool(v)
	case length:
		var v time.Duration
		d.length(&v)(n, path)
		text = agent.DurationText(v)
	default:
		d.text(&text)(n, path)
	}
	return text
}

func (d *decoder) data(n *yaml.Node, path string, form Form) *Data {
	v := &Data{Form: form}
	switch form {
	case asJSON, asPart:
		d.json(&v.raw)(n, path)
	case asBytes:
		d.base64(&v.raw)(n, path)
	default:
		var text string
		d.text(&text)(n, path)
		v.raw = []byte(text)
	}
	return v
}

// show is data as a test gives it, on one line.
func (v *Data) show() string {
	switch v.Form {
	case asBytes:
		return base64.StdEncoding.EncodeToString(v.raw)
	case asJSON, asPart:
		return string(v.raw)
	}
	return textShown(string(v.raw))
}

// textShown is a text as people read it, in quotes if it would be mistaken.
func textShown(text string) string {
	if text == "" || strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
