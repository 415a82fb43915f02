// Oee tells the overall equipment effectiveness of each machine at the end of each
// shift: availability x performance x quality. The arithmetic is in machine.go.
package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	skerry "github.com/skerry-edge/skerry/wasm/guest/go"
)

const (
	keep     = 30 * 24 * time.Hour // then a machine that says nothing is forgotten
	most     = 500                 // machines
	shiftKey = "shift"             // "early 1777874400000": the shift that runs, and its start
)

func init() { skerry.Handle(handle) }

func main() {} // never called: the handler is

func handle(ev *skerry.Event) error {
	levels := strings.Split(ev.Subject(), "/")
	if len(levels) != 3 || levels[0] != "machines" {
		return changeShift(ev)
	}
	if !plain(levels[1]) {
		return skerry.Reject("the name of the machine is empty, has more than 64 bytes, or signs that JSON must escape")
	}
	at, err := timeOf(ev)
	if err != nil {
		return err
	}
	m, err := load(levels[1], at)
	if err != nil {
		return err
	}
	doc := skerry.JSON(ev.Data())
	switch levels[2] {
	case "state":
		word, err := doc.Get("state").Text()
		a, known := activityOf(word)
		if err != nil || !known {
			return skerry.Reject(`the event has no "state" that is run, stop or planned`)
		}
		m.enter(a, at)
	case "parts":
		parts, err := doc.Get("parts").Int()
		if err != nil || parts < 0 {
			return skerry.Reject(`the event has no whole number "parts"`)
		}
		rejects, err := doc.Get("rejects").Int()
		if errors.Is(err, skerry.ErrNotFound) {
			rejects = -1 // not told this time
		} else if err != nil || rejects < 0 {
			return skerry.Reject(`"rejects" is no whole number`)
		}
		m.count(parts, rejects, at)
	default:
		return skerry.Reject("the topic is not machines/<machine>/state or machines/<machine>/parts")
	}
	return store(levels[1], m)
}

// plain tells whether a name can stand in JSON and in a topic as it is.
func plain(name string) bool {
	escaped := func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, escaped)
}

// timeOf is when something happened: the event's "ts", in seconds or milliseconds
// since 1970, or else when it came. A clock that is more than an hour ahead is wrong.
func timeOf(ev *skerry.Event) (int64, error) {
	came := ev.Time().UnixMilli()
	ts, err := skerry.JSON(ev.Data(), "ts").Float()
	if errors.Is(err, skerry.ErrNotFound) {
		return came, nil
	}
	if err != nil || ts <= 0 {
		return 0, skerry.Reject(`"ts" is no time in seconds or milliseconds since 1970`)
	}
	if ts < 1e11 {
		ts *= 1000
	}
	if ts > float64(came+time.Hour.Milliseconds()) {
		return came, nil
	}
	return int64(ts), nil
}

// changeShift ends the shift that runs when the schedule says so, and reports it. The
// name of the trigger is that of the shift that begins.
func changeShift(ev *skerry.Event) error {
	doc := skerry.JSON(ev.Data())
	trigger, _ := doc.Get("trigger").Text()
	text, _ := doc.Get("due").Text()
	_, name, _ := strings.Cut(trigger, "/")
	due, err := time.Parse(time.RFC3339, text)
	if name == "" || err != nil {
		return skerry.Reject("the event is of no machine and of no schedule")
	}
	old, start, err := loadShift()
	if err != nil || due.UnixMilli() <= start {
		return err // a tick that is made up for comes late, and is over already
	}
	now := strconv.AppendInt([]byte(name+" "), due.UnixMilli(), 10)
	if err := skerry.Set(shiftKey, now, 0); err != nil {
		return err
	}
	keys, err := skerry.Keys("machine/", most)
	if err != nil {
		return err
	}
	var reports []byte
	for _, key := range keys {
		report, err := closeShift(strings.TrimPrefix(key, "machine/"), old, start, due.UnixMilli())
		if err != nil {
			return err
		}
		if report != nil {
			reports = append(append(reports, ','), report...)
		}
	}
	if len(reports) == 0 {
		return nil
	}
	reports[0] = '['
	return skerry.Followup("oee", "application/json", append(reports, ']'))
}

// closeShift ends the shift of a machine and publishes what it came to. Of what was
// before the first change of shift there is no report: it is no whole one.
func closeShift(id, shift string, start, end int64) ([]byte, error) {
	m, err := load(id, end)
	if err != nil {
		return nil, err
	}
	m.pass(end)
	var report []byte
	if shift != "" {
		report = reportOf(id, shift, start, end, m, m.figures(1000*bestSeconds(id)))
		if err := skerry.Publish("oee/"+id, report, skerry.QoS1|skerry.Retain); err != nil {
			return nil, err
		}
	}
	m.next(end)
	return report, store(id, m)
}

// bestSeconds is what a part takes at best: the setting BEST_SECONDS/<machine>, or
// BEST_SECONDS of all.
func bestSeconds(id string) float64 {
	for _, key := range []string{"BEST_SECONDS/" + id, "BEST_SECONDS"} {
		if s, err := strconv.ParseFloat(skerry.Config(key), 64); err == nil && s > 0 && s < math.MaxInt32 {
			return s
		}
	}
	return 30
}

func reportOf(id, shift string, start, end int64, m *machine, f figures) []byte {
	out := append([]byte(`{"machine":`), `"`+id+`"`...)
	out = append(append(out, `,"shift":`...), `"`+shift+`"`...)
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"from", start / 1000},
		{"to", end / 1000},
		{"run_s", m.spent[running] / 1000},
		{"stop_s", m.spent[stopped] / 1000},
		{"planned_s", m.spent[planned] / 1000},
		{"parts", m.made},
		{"bad", m.bad},
	} {
		out = strconv.AppendInt(append(out, `,"`+n.name+`":`...), n.value, 10)
	}
	for _, n := range []struct {
		name  string
		value float64
	}{{"availability", f.availability}, {"performance", f.performance}, {"quality", f.quality}, {"oee", f.oee}} {
		out = append(out, `,"`+n.name+`":`...)
		if math.IsNaN(n.value) {
			out = append(out, "null"...)
		} else {
			out = strconv.AppendFloat(out, n.value, 'f', 4, 64)
		}
	}
	return append(out, '}')
}

func loadShift() (name string, start int64, err error) {
	text, err := skerry.Get(shiftKey)
	if errors.Is(err, skerry.ErrNotFound) {
		return "", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	name, ms, _ := strings.Cut(string(text), " ")
	start, err = strconv.ParseInt(ms, 10, 64)
	return name, start, err
}

// load is what is known of a machine; one that is new is known from at on.
func load(id string, at int64) (*machine, error) {
	text, err := skerry.Get("machine/" + id)
	if errors.Is(err, skerry.ErrNotFound) {
		return newMachine(at), nil
	}
	if err != nil {
		return nil, err
	}
	return parseMachine(text)
}

func store(id string, m *machine) error { return skerry.Set("machine/"+id, m.text(), keep) }
