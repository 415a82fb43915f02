package agent

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MatchTopic tells whether an MQTT topic filter matches a topic (MQTT 3.1.1
// section 4.7: "+" is one level, a last "#" is any number, and wildcards at
// the start do not match topics that begin with "$").
func MatchTopic(filter, topic string) bool {
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") {
		return false
	}
	for {
		f, fRest, fMore := strings.Cut(filter, "/")
		if f == "#" {
			return true
		}
		t, tRest, tMore := strings.Cut(topic, "/")
		if f != "+" && f != t {
			return false
		}
		if !tMore {
			return !fMore || fRest == "#"
		}
		if !fMore {
			return false
		}
		filter, topic = fRest, tRest
	}
}

const maxTopic = 512 // bytes; MQTT allows 65,535, no sensor needs them

// CheckFilter refuses what is not an MQTT topic filter.
func CheckFilter(filter string) error {
	if err := checkTopicText(filter); err != nil {
		return fmt.Errorf("topic filter %q: %w", filter, err)
	}
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch {
		case l == "#" && i < len(levels)-1:
			return fmt.Errorf("topic filter %q: # must be the last level", filter)
		case l != "#" && l != "+" && strings.ContainsAny(l, "#+"):
			return fmt.Errorf("topic filter %q: a wildcard must be a whole level", filter)
		}
	}
	return nil
}

// CheckTopic refuses what cannot be published to.
func CheckTopic(topic string) error {
	if err := checkTopicText(topic); err != nil {
		return fmt.Errorf("topic %q: %w", topic, err)
	}
	if strings.ContainsAny(topic, "#+") {
		return fmt.Errorf("topic %q: wildcards cannot be published to", topic)
	}
	return nil
}

func checkTopicText(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("it is empty")
	case len(s) > maxTopic:
		return fmt.Errorf("it is longer than %d bytes", maxTopic)
	case !utf8.ValidString(s):
		return fmt.Errorf("it is not valid UTF-8")
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7f {
			return fmt.Errorf("it contains a control character")
		}
	}
	return nil
}
