package uplink

import (
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// topic is a template of MQTT topics: text with {names}, as of a path. Slashes
// of values begin a new level.
type topic struct {
	parts  []pathPart
	device string
}

// newTopic takes the option topic.
func newTopic(c *TargetConfig) (t topic, err error) {
	t.device = c.Device
	switch {
	case c.Topic == "":
		return t, mistake("topic", "is missing; give one such as skerry/{device}/{function}")
	case strings.ContainsAny(c.Topic, "+#"):
		return t, mistake("topic", "holds + or #, and nobody can publish to a wildcard; remove it")
	case strings.Contains(c.Topic, "${"):
		return t, mistake("topic", "holds ${…}; values stand in braces alone, as in {subject}")
	}
	if t.parts, err = parseParts("topic", c.Topic); err != nil {
		return t, err
	}
	for _, p := range t.parts {
		if p.text == "" {
			continue
		}
		if err := agent.CheckTopic(p.text); err != nil {
			return t, mistake("topic", "cannot be published to: %v", err)
		}
	}
	return t, nil
}

// of is the topic of a record; the error is PERMANENT.
func (t *topic) of(rec *agent.Record) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		b.WriteString(p.text)
		if p.name == "" {
			continue
		}
		value := valueOf(rec, p.name, t.device)
		if value == "" {
			return "", refuse("topic: the event has no %s", p.name)
		}
		b.WriteString(value)
	}
	if err := agent.CheckTopic(b.String()); err != nil {
		return "", refuse("the event cannot be published: %v", err)
	}
	return b.String(), nil
}
