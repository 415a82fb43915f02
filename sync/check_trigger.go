package fleetsync

import (
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// Orders that a trigger may ask for.
const (
	orderTopic = "topic"
	orderNone  = "none"
)

const (
	maxThens    = 8
	maxTemplate = 16 << 10 // bytes
)

func (c *appCheck) trigger(path string, t *AppTrigger) {
	c.starts(path, t)
	names := c.listens(path, t)
	if c.expression(path+".when", t.When) {
		if _, _, err := c.checks.Language.Condition(t.When, names); err != nil {
			c.fail(path+".when", "%v", err)
		}
	}
	c.value(path+".key", t.Key, names)
	c.dedupe(path+".dedupe", t.Dedupe, names)
	c.gate(path, t, names)
	c.gather(path, t, names)
	c.order(path, t)
	if _, _, err := durability(t.Durability); err != nil {
		c.fail(path+".durability", "%v", err)
	}
	if r := t.Retry; r != nil {
		c.within(path+".retry.maxAttempts", r.MaxAttempts, 1, 100)
		c.topic(path+".retry.deadLetter", r.DeadLetter, names)
	}
	if len(t.Then) > maxThens {
		c.fail(path+".then", "at most %d entries, not %d: have a function publish the rest", maxThens, len(t.Then))
	}
	for i := range t.Then {
		c.then(fmt.Sprintf("%s.then[%d]", path, i), &t.Then[i], names)
	}
}

// starts checks the function of a trigger, or that it is a whole rule.
func (c *appCheck) starts(path string, t *AppTrigger) {
	if c.present(path, "function") != nil {
		if _, ok := c.app.Functions[t.Function]; !ok {
			c.fail(path+".function", "this app has no function %.80q: name one of its functions, or remove the key to make a rule of it", t.Function)
		}
		return
	}
	_, taken := c.app.Functions[t.Name]
	switch {
	case t.Name == "":
		c.fail(path, "it has no function, so it is a rule, and a rule has a name: add name: my-rule, or function: and one of this app")
	case taken:
		c.fail(path+".name", "a function of this app is called %.80q too: give the rule another name, or write function: %[1]s", t.Name)
	}
	if len(t.Then) == 0 {
		c.fail(path, "it has no function, so it is a rule, and a rule says what it does: add then: [{publish: my/topic}], or function: and one of this app")
	}
}

// order refuses what needs the events of a key in order, where there is none.
func (c *appCheck) order(path string, t *AppTrigger) {
	c.oneOf(path+".order", t.Order, orderTopic, orderNone)
	if t.Order != "" && t.Key != "" {
		c.fail(path+".order", "events of one key run in order, those of different keys do not: remove order, or key")
	}
	if t.Order != orderNone {
		return
	}
	if by := c.present(path, "onChange", "deadband", "rateLimit", "debounce", "batch", "window"); by != nil {
		c.fail(path+".order", "%s looks at the events of a topic or key one after the other: remove order: none", by[0])
	}
}

func (c *appCheck) then(path string, t *AppThen, names []string) {
	if len(c.present(path, "publish", "invoke")) != 1 {
		c.fail(path, "it has either publish: <topic> or invoke: central/<target>")
	}
	c.topic(path+".publish", t.Publish, names)
	if t.Invoke != "" {
		c.invoke(path+".invoke", t.Invoke)
		for _, key := range c.present(path, "qos", "retain") {
			c.fail(path+"."+key, "it goes with publish: remove it, a follow-up or an event waits until it is taken")
		}
	}
	if !strings.HasPrefix(t.Invoke, "central/") {
		for _, key := range c.present(path, wayKeys...) {
			c.fail(path+"."+key, "it goes with invoke: central/<target>: remove it")
		}
	}
	c.way(path, t.Priority, t.TTL, t.Over)
	c.within(path+".qos", t.QoS, 0, 2)
	c.oneOf(path+".when", t.When, "output", "error", "always")
	if t.Data != nil {
		c.template(path+".data", t.Data, names)
	}
}

// topic checks what is published to; "" passes unless the key is there.
func (c *appCheck) topic(path, text string, names []string) {
	if text == "" && c.lines[path] == 0 {
		return
	}
	for _, name := range capturesIn(text) {
		if !slices.Contains(names, name) {
			c.fail(path, "%.80q: {%s} is not captured by this trigger, %s", text, name, captured(names))
			return
		}
	}
	plain := captureForm.ReplaceAllString(text, "x")
	broker, _, _ := agent.SplitBroker(text)
	switch {
	case strings.ContainsAny(broker, "{}"):
		c.fail(path, "%.80q: the broker is written out: a capture does not name one", text)
	case strings.ContainsAny(plain, "{}"):
		c.fail(path, "%.80q: a brace begins or ends a capture, as in {line}: write both, or another letter", text)
	default:
		c.destination(path, plain, agent.CheckTopic)
	}
}

// captured tells which captures there are.
func captured(names []string) string {
	if len(names) == 0 {
		return "which has no captures: name a level of the topic that it listens to, as in sensors/{line}/temp"
	}
	return "which has {" + strings.Join(names, "}, {") + "}: write one of them, or name that level of the topic it listens to"
}

// triggerNames names each trigger that has no name after its function, if that
// is plain, and checks that names differ: what a trigger has seen is kept
// under its name, so a name must not depend on the order in the document.
func (c *appCheck) triggerNames() {
	seen := map[string]bool{}
	for i := range c.app.Triggers {
		t := &c.app.Triggers[i]
		path := fmt.Sprintf("triggers[%d]", i)
		switch {
		case t.Name != "":
			c.name(path+".name", t.Name)
		case t.Function == "":
			continue // a rule; it was told
		default:
			t.Name = t.Function
		}
		if seen[t.Name] {
			c.fail(path, "a second trigger is called %.80q: give each a name of its own", t.Name)
		}
		seen[t.Name] = true
	}
}
