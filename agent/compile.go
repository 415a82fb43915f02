package agent

import (
	"errors"
	"fmt"
	"strings"
)

// compiled is a Trigger with all it says compiled.
type compiled struct {
	Trigger
	stateless Predicate // asked by the router; nil holds
	stateful  Predicate // asked by the worker; nil holds
	key       Value     // nil: the topic
	dedupe    Value     // of Dedupe.Key; nil: there is none
	onChange  []Value
	deadband  Value      // nil: there is none
	time      Value      // of Gather.Time; nil: when an event arrived
	aside     *gathering // where its events are put aside; nil: it does not gather
	data      []Template // of each Then; nil: the outcome itself
	gated     bool       // it has a Gate
	staged    bool       // something stands between an event and the function
}

// programs compiles expressions, and keeps them for the next deployment: most of
// that is what there was, and many triggers say the same.
type programs struct {
	language   Language
	conditions map[source]condition
	values     map[source]Value
	templates  map[source]Template
}

// source is the text of a program, and the names of what it may use, with commas.
type source struct{ text, captures string }

// condition is a compiled one, its parts apart.
type condition struct{ stateless, stateful Predicate }

func newPrograms(language Language) *programs {
	return &programs{language, map[source]condition{}, map[source]Value{}, map[source]Template{}}
}

var errNoLanguage = errors.New("conditions, keys and templates cannot be compiled here")

// get finds a program among those of the deployment, or of the one before, or
// compiles it.
func get[P any](now, before map[source]P, text string, c *compiler, compile func(string, []string) (P, error)) (P, error) {
	src := source{text, c.names}
	p, ok := now[src]
	if ok {
		return p, nil
	}
	if p, ok = before[src]; !ok {
		var err error
		if p, err = compile(text, c.captures); err != nil {
			return p, err
		}
	}
	now[src] = p
	return p, nil
}

// compiler compiles the expressions of one trigger. The first error stays.
type compiler struct {
	programs, before *programs
	captures         []string
	names            string // of captures, see source
	err              error
}

// compile compiles what t says, with what was compiled before.
func (p *programs) compile(t *Trigger, before *programs) (*compiled, error) {
	c := compiler{programs: p, before: before}
	for _, capture := range t.Captures {
		c.captures = append(c.captures, capture.Name)
	}
	c.names = strings.Join(c.captures, ",")
	tr := &compiled{Trigger: *t}
	tr.stateless, tr.stateful = c.condition(t.When)
	tr.key = c.value("key", t.Key)
	tr.dedupe = c.value("dedupe.key", t.Dedupe.Key)
	for _, text := range t.Gate.OnChange {
		tr.onChange = append(tr.onChange, c.value("onChange", text))
	}
	tr.deadband = c.value("deadband.of", t.Gate.Deadband.Of)
	tr.time = c.value("window.time", t.Gather.Time)
	tr.data = c.templates(t.Then)
	c.topic("retry.deadLetter", t.Retry.DeadLetter)
	for i := range t.Then {
		c.topic("then.publish", t.Then[i].Publish)
	}
	tr.gated = t.Gate.Rate.Count > 0 || len(tr.onChange) > 0 || tr.deadband != nil
	tr.staged = tr.gated || tr.stateful != nil || t.Gather.Kind != GatherNone
	if c.err != nil {
		return nil, fmt.Errorf("trigger %s: %w", t.Name, c.err)
	}
	return tr, nil
}

// failed keeps the first error, with what it is about.
func (c *compiler) failed(what string, err error) {
	if c.err == nil && err != nil {
		c.err = fmt.Errorf("%s: %w", what, err)
	}
}

// idle tells that there is nothing to compile, or nothing to do it with.
func (c *compiler) idle(what, text string) bool {
	if text != "" && c.programs.language == nil {
		c.failed(what, errNoLanguage)
	}
	return text == "" || c.err != nil
}

func (c *compiler) condition(text string) (stateless, stateful Predicate) {
	if c.idle("when", text) {
		return nil, nil
	}
	p, err := get(c.programs.conditions, c.before.conditions, text, c,
		func(text string, captures []string) (p condition, err error) {
			p.stateless, p.stateful, err = c.programs.language.Condition(text, captures)
			return p, err
		})
	c.failed("when", err)
	return p.stateless, p.stateful
}

func (c *compiler) value(what, text string) Value {
	if c.idle(what, text) {
		return nil
	}
	v, err := get(c.programs.values, c.before.values, text, c, c.programs.language.Value)
	c.failed(what, err)
	return v
}

// templates compiles those of a trigger's Thens; nil if there are none.
func (c *compiler) templates(thens []Then) []Template {
	var all []Template
	for i := range thens {
		if c.idle("then.data", thens[i].Data) {
			continue
		}
		t, err := get(c.programs.templates, c.before.templates, thens[i].Data, c, c.programs.language.Template)
		c.failed("then.data", err)
		if all == nil {
			all = make([]Template, len(thens))
		}
		all[i] = t
	}
	return all
}

// topic refuses one that uses what was not captured.
func (c *compiler) topic(what, topic string) {
	for name := range placeholders(topic) {
		if !c.captured(name) {
			c.failed(what, fmt.Errorf("%q: {%s} is not captured by the topic of the trigger", topic, name))
		}
	}
}

func (c *compiler) captured(name string) bool {
	for _, n := range c.captures {
		if n == name {
			return true
		}
	}
	return false
}
