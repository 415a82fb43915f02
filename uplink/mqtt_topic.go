package uplink

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// topic is a template of MQTT topics: text, and names in braces.
type topic []topicPart

// topicPart is a text, and the value behind it; the last one has none.
type topicPart struct {
	text  string
	value func(*mqtt, *agent.Record) string
}

// topicNames are what may stand in braces.
var topicNames = map[string]func(*mqtt, *agent.Record) string{
	"device":   func(t *mqtt, _ *agent.Record) string { return t.device },
	"target":   func(t *mqtt, _ *agent.Record) string { return t.name },
	"function": func(_ *mqtt, r *agent.Record) string { return r.Function },
	"trigger":  func(_ *mqtt, r *agent.Record) string { return r.Trigger },
	"key":      func(_ *mqtt, r *agent.Record) string { return r.Key },
	"subject":  func(_ *mqtt, r *agent.Record) string { return r.Event.Subject },
	"type":     func(_ *mqtt, r *agent.Record) string { return r.Event.Type },
	"priority": func(_ *mqtt, r *agent.Record) string { return strconv.Itoa(int(r.Priority)) },
}

// parseTopic reads a template such as "skerry/{device}/{subject}".
func parseTopic(text string) (topic, error) {
	var t topic
	rest := text
	for {
		before, after, ok := strings.Cut(rest, "{")
		if err := checkTopicText(before); err != nil {
			return nil, err
		}
		if !ok {
			return append(t, topicPart{text: before}), nil
		}
		name, behind, ok := strings.Cut(after, "}")
		value := topicNames[name]
		if !ok || value == nil {
			return nil, fmt.Errorf("knows no {%.40s}; in braces stands one of %s", name, strings.Join(slices.Sorted(maps.Keys(topicNames)), ", "))
		}
		t, rest = append(t, topicPart{before, value}), behind
	}
}

func checkTopicText(text string) error {
	switch {
	case strings.ContainsAny(text, "+#"):
		return fmt.Errorf("holds a wildcard, which nobody can publish to; remove + and #")
	case strings.Contains(text, "}"):
		return fmt.Errorf("holds a } without its {")
	case text == "":
		return nil
	}
	return agent.CheckTopic(text)
}

// of is the topic of a record, which may hold what nobody can publish to.
func (t topic) of(target *mqtt, rec *agent.Record) string {
	var b strings.Builder
	for _, p := range t {
		b.WriteString(p.text)
		if p.value != nil {
			b.WriteString(p.value(target, rec))
		}
	}
	return b.String()
}
