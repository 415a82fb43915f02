package fleetsync

import (
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// insideTopics are what an agent tells of itself; + stands for names.
var insideTopics = []string{
	"started", "link/+/up", "link/+/down", "deployment/changed", "disk/low", "disk/ok", "clock/trusted",
	"failure/+/+", "parked/+/+", "unparked/+/+",
}

// insideWords are insideTopics for people.
const insideWords = "started, link/<broker>/up, link/<broker>/down, deployment/changed, disk/low, disk/ok, clock/trusted, " +
	"failure/<app>/<function>, parked/<app>/<function>, unparked/<app>/<function>"

func (c *appCheck) inside(path string, in *InsideTrigger) []string {
	path += ".topic"
	if in.Topic == "" {
		c.fail(path, "the topic is missing: inside: {topic: started}; the topics are %s", insideWords)
		return nil
	}
	names := c.filter(path, in.Topic)
	filter, _, err := agent.ParseFilter(in.Topic)
	if err != nil {
		return names
	}
	known := false
	for _, topic := range insideTopics {
		known = known || overlap(filter, topic)
	}
	if !known {
		c.fail(path, "%.80q never happens: the topics are %s", in.Topic, insideWords)
		return names
	}
	levels := strings.Split(filter, "/")
	if len(levels) == 3 && levels[1] == c.app.Metadata.Name && levels[2] != "+" && levels[2] != "#" && !c.runs(levels[2]) {
		c.fail(path, "%.80q: this app has no function or rule %.80q", in.Topic, levels[2])
	}
	return names
}

// runs tells whether the app has a function or rule of that name.
func (c *appCheck) runs(name string) bool {
	if _, ok := c.app.Functions[name]; ok {
		return true
	}
	for i := range c.app.Triggers {
		if t := &c.app.Triggers[i]; t.Name == name && t.Function == "" {
			return true
		}
	}
	return false
}

// overlap tells whether a topic exists that both filters match.
func overlap(a, b string) bool {
	for {
		x, aRest, aMore := strings.Cut(a, "/")
		y, bRest, bMore := strings.Cut(b, "/")
		switch {
		case x == "#" || y == "#":
			return true
		case x != "+" && y != "+" && x != y:
			return false
		case !aMore || !bMore: // "a/#" matches "a" too
			return aMore == bMore || aMore && aRest == "#" || bMore && bRest == "#"
		}
		a, b = aRest, bRest
	}
}
