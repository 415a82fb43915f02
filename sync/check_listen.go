package fleetsync

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// maxJitter bounds jitter: what is later is another schedule.
const maxJitter = 24 * time.Hour

// listens checks what starts a trigger, and gives the names that its topic
// captures.
func (c *appCheck) listens(path string, t *AppTrigger) (names []string) {
	sources := c.present(path, "mqtt", "schedule", "http", "source", "inside")
	if len(sources) != 1 {
		has := "none of them"
		if len(sources) > 1 {
			has = strings.Join(sources, " and ") + ": write a trigger for each"
		}
		c.fail(path, "a trigger listens to one thing, mqtt: {topic: …}, schedule: {every: …}, http: {path: …}, source: {name: …} or inside: {topic: …}; this one has %s", has)
	}
	if t.MQTT != nil {
		names = append(names, c.mqtt(path+".mqtt", t.MQTT)...)
	}
	if t.Schedule != nil {
		c.schedule(path+".schedule", t.Schedule)
	}
	if t.HTTP != nil {
		names = append(names, c.http(path+".http", t.HTTP)...)
	}
	if t.Source != nil {
		names = append(names, c.source(path+".source", t.Source)...)
	}
	if t.Inside != nil {
		names = append(names, c.inside(path+".inside", t.Inside)...)
	}
	return names
}

// filter checks a topic filter with captures, and gives their names; of one that
// is wrong those that were meant, lest each use of them is told too.
func (c *appCheck) filter(path, text string) (names []string) {
	_, captures, err := agent.ParseFilter(text)
	if err != nil {
		c.fail(path, "%v", err)
		return capturesIn(text)
	}
	for _, capture := range captures {
		names = append(names, capture.Name)
	}
	return names
}

func (c *appCheck) mqtt(path string, m *MQTTTrigger) []string {
	c.within(path+".qos", m.QoS, 0, 2)
	c.oneOf(path+".retained", m.Retained, "handle", "ignore")
	if c.lines[path+".topic"] == 0 {
		c.fail(path, "the topic is missing: mqtt: {topic: sensors/+/temperature}")
		return nil
	}
	_, filter, err := splitShare(m.Topic)
	if err != nil {
		c.fail(path+".topic", "%v", err)
		return capturesIn(m.Topic)
	}
	return c.filter(path+".topic", filter)
}

// splitShare takes "$share/<group>/<filter>" apart; group is "" without it.
func splitShare(topic string) (group, filter string, err error) {
	rest, shared := strings.CutPrefix(topic, "$share/")
	if !shared {
		return "", topic, nil
	}
	group, filter, ok := strings.Cut(rest, "/")
	switch {
	case !ok || group == "" || strings.ContainsAny(group, "+#"):
		return "", "", fmt.Errorf("%.80q: a shared subscription is $share/<group>/<filter>", topic)
	case strings.ContainsAny(group, "{}"):
		return "", "", fmt.Errorf("%.80q: a capture names a level of the topic, not the group of a shared subscription: write the group out", topic)
	}
	return group, filter, nil
}

func (c *appCheck) schedule(path string, s *ScheduleTrigger) {
	if c.unread[path+".every"] {
		return // it is there, though nothing was read from it
	}
	if (s.Every == 0) == (s.Cron == "") {
		c.fail(path, "a schedule has either every: 30s or cron: \"*/5 * * * *\"")
		return
	}
	c.oneOf(path+".missed", s.Missed, "skip", "once", "all")
	jitter := time.Duration(s.Jitter)
	switch {
	case s.TimeZone != "" && s.Cron == "":
		c.fail(path+".timezone", "a time zone needs cron: remove it")
		return
	case s.Every != 0 && jitter >= time.Duration(s.Every):
		c.fail(path+".jitter", "%s is not shorter than the period of %s: ticks would come out of order; write less", agent.DurationText(jitter), agent.DurationText(time.Duration(s.Every)))
		return
	case jitter > maxJitter:
		c.fail(path+".jitter", "%s is out of range: up to 24h", agent.DurationText(jitter))
		return
	}
	if c.checks.Schedule != nil {
		if err := c.checks.Schedule(s.rule()); err != nil {
			c.fail(path, "%v", err)
		}
	}
}

func (s *ScheduleTrigger) rule() agent.Schedule {
	missed := map[string]agent.Missed{"once": agent.MissedOnce, "all": agent.MissedAll}[s.Missed]
	return agent.Schedule{
		Every: time.Duration(s.Every), Cron: s.Cron, TimeZone: s.TimeZone,
		Missed: missed, Jitter: time.Duration(s.Jitter),
	}
}

func (c *appCheck) http(path string, h *HTTPTrigger) []string {
	path += ".path"
	first, _, _ := strings.Cut(h.Path, "/")
	odd := slices.ContainsFunc(strings.Split(h.Path, "/"), func(level string) bool {
		return level == "" || level == "." || level == ".."
	})
	switch {
	case h.Path == "":
		c.fail(path, "the path is missing: http: {path: orders/{id}} takes what is posted to /in/orders/17")
	case first == "":
		c.fail(path, "%.80q: write it without the / at its front: the device puts /in/ before it", h.Path)
	case strings.HasPrefix(first, "$"):
		c.fail(path, "%.80q: no path begins with $: write another letter", h.Path)
	case odd:
		c.fail(path, "%.80q: no level is empty, . or ..: write orders/{id}, without a / at the end", h.Path)
	case strings.ContainsAny(h.Path, "?%"):
		c.fail(path, "%.80q: a query is no part of it, and letters are written as they are, not as %%20: remove them", h.Path)
	default:
		return c.filter(path, h.Path)
	}
	return capturesIn(h.Path)
}

var sourceForm = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

func (c *appCheck) source(path string, s *SourceTrigger) []string {
	switch {
	case s.Name == agent.ViaSchedule || s.Name == agent.ViaHTTP || s.Name == agent.ViaInside:
		c.fail(path+".name", "%s is no source of a device's own: write %[1]s: {…} in place of source", s.Name)
	case s.Name == "":
		c.fail(path, "the name is missing: source: {name: scanner}, and its settings under sources: in the device's skerry.yaml")
	case !sourceForm.MatchString(s.Name):
		c.fail(path+".name", "%.80q is no name of a source: letters, digits, dots, dashes and underscores, at most 64", s.Name)
	}
	if c.lines[path+".topic"] == 0 {
		return nil
	}
	return c.filter(path+".topic", s.Topic)
}
