package agent_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// words is a language in which every text is a word that stands for something:
// a condition if it yields a bool, and a stateful one if it begins with "state ".
// The text "{name}" is what was captured, "bad" is refused.
type words map[string]func(agent.Terms) (any, error)

// field is the value of a word that is a field of the data.
func field(name string) func(agent.Terms) (any, error) {
	return func(t agent.Terms) (any, error) {
		body, err := t.Event.JSON()
		object, _ := body.(map[string]any)
		return object[name], err
	}
}

func (w words) compile(text string, captures []string) (word, error) {
	if text == "bad" {
		return nil, errors.New("unexpected token")
	}
	for _, name := range captures {
		if text == "{"+name+"}" {
			return func(t agent.Terms) (any, error) {
				value, _ := agent.Captured(t.Trigger, t.Event.Subject, name)
				return value, nil
			}, nil
		}
	}
	if w[text] == nil {
		return nil, fmt.Errorf("unknown word %q", text)
	}
	return w[text], nil
}

func (w words) Condition(text string, captures []string) (stateless, stateful agent.Predicate, err error) {
	p, err := w.compile(text, captures)
	if strings.HasPrefix(text, "state ") {
		return nil, p, err
	}
	return p, nil, err
}

func (w words) Value(text string, captures []string) (agent.Value, error) {
	return w.compile(text, captures)
}

func (w words) Template(text string, captures []string) (agent.Template, error) {
	return w.compile(text, captures)
}

type word func(agent.Terms) (any, error)

func (w word) Value(t agent.Terms) (any, error) { return w(t) }

func (w word) Match(t agent.Terms) (bool, error) {
	v, err := w(t)
	ok, _ := v.(bool)
	return ok, err
}

func (w word) Render(t agent.Terms) ([]byte, error) {
	v, err := w(t)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
