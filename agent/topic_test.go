package agent_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

var topicCases = []struct {
	filter, topic string
	want          bool
}{
	{"a/b/c", "a/b/c", true},
	{"a/+/c", "a/b/c", true},
	{"a/+", "a", false}, // + needs a level
	{"a/+", "a/", true}, // which may be empty
	{"a/+", "a/b/c", false},
	{"+/+", "/finance", true},
	{"+", "/finance", false},
	{"#", "a/b/c", true},
	{"a/#", "a", true}, // # includes the parent
	{"a/#", "a/b/c", true},
	{"a/#", "ab", false},
	{"a/+/#", "a", false},
	{"a/+/#", "a/b", true},
	{"#", "$SYS/uptime", false}, // wildcards do not reach topics of the broker
	{"+/uptime", "$SYS/uptime", false},
	{"$SYS/#", "$SYS/uptime", true},
	{"$SYS/+", "$SYS/uptime", true},
	{"a//c", "a//c", true},
	{"a/+/c", "a//c", true},
}

func TestMatchTopic(t *testing.T) {
	for _, tt := range topicCases {
		if got := agent.MatchTopic(tt.filter, tt.topic); got != tt.want {
			t.Errorf("MatchTopic(%q, %q) = %v, want %v", tt.filter, tt.topic, got, tt.want)
		}
	}
}

func TestRouterAgreesWithMatchTopic(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{})
	for _, tt := range topicCases {
		b.apply([]agent.Function{fn("app/f")}, on("app/f", tt.filter))
		before := b.status().Events.Invocations
		b.wait(b.offer(tt.topic, "x", agent.Origin{}))
		if got := b.status().Events.Invocations > before; got != tt.want {
			t.Errorf("a trigger on %q runs for %q: %v, want %v", tt.filter, tt.topic, got, tt.want)
		}
	}
}

func TestCheckFilterNamesTheMistake(t *testing.T) {
	for filter, want := range map[string]string{
		"":                       "empty",
		"a/#/b":                  "last level",
		"a+/b":                   "whole level",
		"a/b#":                   "whole level",
		"a\x00b":                 "control character",
		"a\xffb":                 "UTF-8",
		strings.Repeat("a", 600): "longer than 512",
	} {
		if err := agent.CheckFilter(filter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckFilter(%.20q) = %v, want it to say %q", filter, err, want)
		}
	}
	if err := agent.CheckTopic("a/+"); err == nil {
		t.Error("CheckTopic accepts a wildcard")
	}
}

// naive is the definition of matching, level by level.
func naive(filter, topic []string) bool {
	if len(filter) == 0 {
		return len(topic) == 0
	}
	if filter[0] == "#" {
		return true
	}
	return len(topic) > 0 && (filter[0] == "+" || filter[0] == topic[0]) && naive(filter[1:], topic[1:])
}

func FuzzMatchTopic(f *testing.F) {
	for _, tt := range topicCases {
		f.Add(tt.filter, tt.topic)
	}
	f.Fuzz(func(t *testing.T, filter, topic string) {
		if agent.CheckFilter(filter) != nil || agent.CheckTopic(topic) != nil {
			return
		}
		levels := strings.Split(filter, "/")
		want := naive(levels, strings.Split(topic, "/"))
		if strings.HasPrefix(topic, "$") && (levels[0] == "#" || levels[0] == "+") {
			want = false
		}
		if got := agent.MatchTopic(filter, topic); got != want {
			t.Errorf("MatchTopic(%q, %q) = %v, want %v", filter, topic, got, want)
		}
		if slices.Contains(levels, "#") && !agent.MatchTopic(filter, strings.TrimSuffix(filter, "#")+"x/y") &&
			!strings.Contains(filter, "+") && filter != "#" {
			t.Errorf("%q does not match below itself", filter)
		}
	})
}

func BenchmarkMatchTopic(b *testing.B) {
	for b.Loop() {
		agent.MatchTopic("site/+/temp/#", "site/7/temp/raw")
	}
}
