package agent

import (
	"fmt"
	"iter"
	"regexp"
	"strings"
)

// captureName is what may stand between the braces of a captured level.
var captureName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// ParseFilter reads a topic filter in which a level may be "{name}": it matches
// as "+" does, and what stood there is captured by that name. It returns the
// filter as MQTT knows it. Errors say what to write instead.
func ParseFilter(text string) (filter string, captures []Capture, err error) {
	levels := strings.Split(text, "/")
	for i, level := range levels {
		if !strings.ContainsAny(level, "{}") {
			continue
		}
		name, ok := strings.CutPrefix(level, "{")
		if name, ok2 := strings.CutSuffix(name, "}"); ok && ok2 && captureName.MatchString(name) {
			for _, c := range captures {
				if c.Name == name {
					return "", nil, fmt.Errorf("topic filter %.120q: {%s} is captured twice; give each its own name", text, name)
				}
			}
			captures = append(captures, Capture{Name: name, Level: i})
			levels[i] = "+"
			continue
		}
		return "", nil, fmt.Errorf("topic filter %.120q: %q is no capture; write a whole level as {name}, of letters, digits and _", text, level)
	}
	filter = strings.Join(levels, "/")
	return filter, captures, CheckFilter(filter)
}

// Captured is what stands in topic where the trigger captures name.
func Captured(t *Trigger, topic, name string) (text string, ok bool) {
	for _, c := range t.Captures {
		if c.Name == name {
			return level(topic, c.Level)
		}
	}
	return "", false
}

// level is the n-th level of a topic, from 0.
func level(topic string, n int) (text string, ok bool) {
	for text = range strings.SplitSeq(topic, "/") {
		if n == 0 {
			return text, true
		}
		n--
	}
	return "", false
}

// placeholders are the names in the braces of a topic to publish to.
func placeholders(topic string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, rest, open := strings.Cut(topic, "{")
			name, after, closed := strings.Cut(rest, "}")
			if !open || !closed || !yield(name) {
				return
			}
			topic = after
		}
	}
}

// expand puts what t captured from subject in the place of "{name}" in a topic to
// publish to. Errors wrap ErrInvalid.
func expand(topic string, t *Trigger, subject string) (string, error) {
	if strings.IndexByte(topic, '{') < 0 {
		return topic, nil
	}
	var text strings.Builder
	rest := topic
	for name := range placeholders(topic) {
		value, ok := "", false
		if t != nil {
			value, ok = Captured(t, subject, name)
		}
		if !ok {
			return "", fmt.Errorf("topic %.120q: the trigger captures no {%s}: %w", topic, name, ErrInvalid)
		}
		before, after, _ := strings.Cut(rest, "{"+name+"}")
		text.WriteString(before)
		text.WriteString(value)
		rest = after
	}
	text.WriteString(rest)
	if strings.HasPrefix(text.String(), "$") && topic[0] != '$' { // a captured level must not choose the broker
		return "", fmt.Errorf("topic %.120q: what {…} stands for begins with $: %w", topic, ErrInvalid)
	}
	return text.String(), nil
}
