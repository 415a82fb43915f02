package cases

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// Event is an event of a test.
type Event struct {
	Line     int
	At       time.Duration // since the start of the test
	Schedule string        // the name of a trigger: its schedule falls due
	given    agent.Event
}

// pauseBetween is between an event and the next that does not say when it comes.
const pauseBetween = time.Second

// event reads an event that comes after those before.
func (d *decoder) event(n *yaml.Node, path string, before []Event) Event {
	e := Event{Line: n.Line, given: agent.Event{QoS: 1}}
	if len(before) > 0 {
		e.At = before[len(before)-1].At + pauseBetween
	}
	earliest := max(0, e.At-pauseBetween)
	ev, forms := &e.given, 0
	var topic, http, inside, source string
	qos := 1
	data := func(read func(*yaml.Node, string)) func(*yaml.Node, string) {
		return func(n *yaml.Node, path string) { forms++; read(n, path) }
	}
	var text string
	d.object(n, path, keys{
		"at": func(n *yaml.Node, path string) {
			if d.length(&e.At)(n, path); e.At < earliest {
				d.fail(n, path, "%s is before the event that stands above, at %s: events stand in the order of their time", e.At, earliest)
			}
		},
		"topic": d.text(&topic), "http": d.text(&http), "inside": d.text(&inside), "schedule": d.text(&e.Schedule),
		"id": d.text(&ev.ID), "type": d.text(&ev.Type), "contentType": d.text(&ev.ContentType),
		"qos": d.number(&qos, 0, 2), "retained": d.flag(&ev.Retained), "broker": d.text(&ev.Via), "via": d.text(&source),
		"data":        data(d.json(&ev.Data)),
		"data_base64": data(d.base64(&ev.Data)),
		"text":        data(func(n *yaml.Node, path string) { d.text(&text)(n, path); ev.Data = []byte(text) }),
	})
	ev.QoS = uint8(min(qos, 1))
	ev.Subject = cmp.Or(topic, http, inside)
	ev.Via = cmp.Or(ev.Via, source)
	starts := slices.DeleteFunc([]string{topic, http, inside, e.Schedule}, func(s string) bool { return s == "" })
	switch {
	case forms > 1:
		d.fail(n, path, "data, text and data_base64 are three ways to give the same: keep one")
	case len(starts) != 1:
		d.fail(n, path, "an event has one of topic: a/b, http: orders/7, inside: link/main/down, schedule: NAME-OF-TRIGGER")
	case topic == "" && ev.Via != "":
		d.fail(n, path, "broker and via say where a topic comes from: remove them")
	case http != "":
		ev.Via = agent.ViaHTTP
	case inside != "":
		ev.Via = agent.ViaInside
	case e.Schedule != "":
		ev.Via = agent.ViaSchedule
	}
	if topic != "" {
		if err := agent.CheckTopic(topic); err != nil {
			d.fail(n, path+".topic", "%v", err)
		}
	}
	if http != "" {
		if err := CheckPath(http); err != nil {
			d.fail(n, path+".http", "%v", err)
		}
	}
	return e
}

// CheckPath refuses what is not the path of a trigger's http that somebody posts to.
func CheckPath(path string) error {
	if strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.Contains(path, "://") || strings.Contains(path, "?") {
		return fmt.Errorf("%.80q: a path stands here as in the manifest: orders/7 for POST /in/orders/7?wait=10s", path)
	}
	return agent.CheckTopic(path)
}

// Entry is event n of a test, from 1, as it comes to a device that runs app.
func (e *Event) Entry(h *recording.Header, app string, n int) recording.Entry {
	ev := e.given
	entry := recording.Entry{At: e.At, Event: &ev}
	ev.ID = cmp.Or(ev.ID, fmt.Sprintf("event-%d", n))
	ev.Time = h.Start.Add(e.At)
	if e.Schedule != "" {
		ev.Subject = app + "/" + e.Schedule
		if ev.Data == nil {
			ev.Data = fmt.Appendf(nil, `{"clock":"trusted","due":%q,"trigger":%q}`, ev.Time.UTC().Format(time.RFC3339Nano), ev.Subject)
		}
	}
	ev.ContentType = cmp.Or(ev.ContentType, contentType(ev.Data))
	h.Complete(&entry, n)
	return entry
}

// contentType is what sources make of what does not say.
func contentType(data []byte) string {
	if len(data) > 0 && (data[0] == '{' || data[0] == '[') && utf8.Valid(data) {
		return "application/json"
	}
	return "application/octet-stream"
}

// what says in a few words what the event is.
func (e *Event) what() string {
	switch {
	case e.Schedule != "":
		return "schedule " + e.Schedule
	case e.given.Via == agent.ViaHTTP || e.given.Via == agent.ViaInside:
		return e.given.Via + " " + e.given.Subject
	}
	return e.given.Subject
}
