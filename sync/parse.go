package fleetsync

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Checks are what other rooms know about parts of a document. A nil check
// passes everything.
type Checks struct {
	Language agent.Language // of conditions, expressions and templates
	Schedule func(agent.Schedule) error
	// Module refuses a module that cannot run within memory, the function's
	// limit in bytes. Imports are the functions of skerry_v1 that it imports
	// because it uses them; none of a module that imports all there are, as the
	// engine of JavaScript does.
	Module func(module []byte, memory int64) (imports []string, err error)
	// Start tries whether a module starts as fn. Only Publish asks, with the
	// module that is the function's.
	Start func(fn agent.Function, module []byte) error
}

// ParseApp reads an App document, YAML or JSON, and checks all of it. File
// names it in errors. The error joins a *DocumentError for each fault.
func ParseApp(file string, data []byte, checks Checks) (*App, error) {
	var app App
	d, err := parse(file, "App", data, &app)
	if err != nil {
		return nil, err
	}
	c := appCheck{decoder: d, app: &app, checks: checks}
	c.all()
	if err := d.err(); err != nil {
		return nil, err
	}
	return &app, nil
}

// ParseFleet reads a Fleet document, YAML or JSON, and checks all of it. A
// revision may be absent: publishing gives it one.
func ParseFleet(file string, data []byte) (*Fleet, error) {
	var fleet Fleet
	d, err := parse(file, "Fleet", data, &fleet)
	if err != nil {
		return nil, err
	}
	c := fleetCheck{decoder: d, fleet: &fleet}
	c.all()
	if err := d.err(); err != nil {
		return nil, err
	}
	return &fleet, nil
}

// parse decodes data into doc and refuses another kind of document at once,
// since all other complaints would only confuse then.
func parse(file, kind string, data []byte, doc any) (*decoder, error) {
	root, err := parseTree(file, data)
	if err != nil {
		return nil, err
	}
	d := &decoder{file: file, lines: map[string]int{}, unread: map[string]bool{}}
	head := map[string]string{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		head[root.Content[i].Value] = root.Content[i+1].Value
	}
	switch {
	case head["kind"] != kind && head["kind"] != "":
		return nil, &DocumentError{File: file, Line: root.Line, Path: "kind", Reason: fmt.Sprintf("%q, where kind: %s is expected", head["kind"], kind)}
	case head["apiVersion"] != apiVersion && head["apiVersion"] != "":
		return nil, &DocumentError{File: file, Line: root.Line, Path: "apiVersion", Reason: fmt.Sprintf("%q is not known to this release; it reads %s", head["apiVersion"], apiVersion)}
	}
	d.decode(root, reflect.ValueOf(doc).Elem(), "")
	for _, key := range []string{"apiVersion", "kind"} {
		if head[key] == "" {
			d.fail("", "%s is missing; start the document with apiVersion: %s and kind: %s", key, apiVersion, kind)
		}
	}
	return d, nil
}

// name checks a name of ours: of an app, a function, a trigger, a secret.
func (d *decoder) name(path, name string) {
	if !nameForm.MatchString(name) {
		d.fail(path, "%.80q is no name: use lower case letters, digits and hyphens, at most 63", name)
	}
}

// present gives those of the keys that path has, be they readable or not.
func (d *decoder) present(path string, keys ...string) []string {
	var there []string
	for _, key := range keys {
		if d.lines[path+"."+key] > 0 {
			there = append(there, key)
		}
	}
	return there
}

// required tells of the first key that path lacks.
func (d *decoder) required(path, example string, keys ...string) {
	for _, key := range keys {
		if d.lines[path+"."+key] == 0 {
			d.fail(path, "%s is missing: %s", key, example)
			return
		}
	}
}

// between checks a duration; 0, which is none, passes.
func (d *decoder) between(path string, t Duration, low, high time.Duration) {
	if v := time.Duration(t); v != 0 && (v < low || v > high) {
		d.fail(path, "%s is out of range: %s to %s", agent.DurationText(v), agent.DurationText(low), agent.DurationText(high))
	}
}

func (d *decoder) within(path string, n *int, low, high int) {
	if n != nil && (*n < low || *n > high) {
		d.fail(path, "%d is out of range: %d to %d", *n, low, high)
	}
}

// oneOf checks a word; "" passes, since every word has a default.
func (d *decoder) oneOf(path, word string, allowed ...string) {
	if word == "" {
		return
	}
	for _, a := range allowed {
		if word == a {
			return
		}
	}
	d.fail(path, "%.80q is not one of %s", word, strings.Join(allowed, ", "))
}

// unique checks a list without repetitions.
func (d *decoder) unique(path string, list []string) {
	seen := map[string]bool{}
	for i, s := range list {
		if seen[s] {
			d.fail(fmt.Sprintf("%s[%d]", path, i), "%.80q is given twice: remove one", s)
		}
		seen[s] = true
	}
}
