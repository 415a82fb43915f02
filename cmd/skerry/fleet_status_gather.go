package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// reports are what a broker has of devices.
type reports struct {
	fleet   string        // "+" for all
	changed chan struct{} // capacity 1

	mu      sync.Mutex
	devices map[string]*reported // by "fleet/device"
	hint    int64                // the highest revision that was hinted at
	last    time.Time            // when something came
}

// reported is what is known of one device.
type reported struct {
	fleet, device string
	report        *fleetsync.Report // nil: none yet
	unreadable    string            // why the last one could not be read
	online        bool
	offlineSince  time.Time // if it was seen to go
}

// maxReported bounds what is kept of a broker where anybody publishes.
const maxReported = 100_000

func newReports(fleet string) *reports {
	if fleet == "" {
		fleet = "+"
	}
	return &reports{fleet: fleet, changed: make(chan struct{}, 1), devices: map[string]*reported{}}
}

// gather subscribes, and returns when nothing came for so long as quiet.
func (r *reports) gather(ctx context.Context, m *sensors.MQTT, quiet time.Duration) error {
	filters := []string{fleetsync.ReportTopic(r.fleet, "+"), fleetsync.OnlineTopic(r.fleet, "+"), fleetsync.HintTopic(r.fleet)}
	var triggers []agent.Trigger
	for _, filter := range filters {
		triggers = append(triggers, agent.Trigger{Name: filter, Via: m.Status().Name, Filter: filter}) // QoS 0: brokers bound what waits with more
	}
	m.Follow(triggers)
	asked := time.Now()
	for ctx.Err() == nil {
		pause(ctx, 20*time.Millisecond)
		s := m.Status()
		switch subscribed := len(s.Filters) == len(filters); {
		case !s.Connected:
			return fmt.Errorf("the connection to the broker was lost: %s", s.Note)
		case !subscribed && time.Since(asked) > connectWithin:
			return fmt.Errorf("the broker lets this user not read %s: %s", strings.Join(filters, ", "), s.Note)
		case subscribed && r.quietFor(asked) >= quiet:
			return nil
		}
	}
	return ctx.Err()
}

// quietFor is how long nothing came, since the time at least.
func (r *reports) quietFor(since time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.After(since) {
		since = r.last
	}
	return time.Since(since)
}

// take is the agent.Offer of the connection.
func (r *reports) take(ev *agent.Event, done func(error)) {
	if done != nil {
		defer done(nil)
	}
	parts := strings.Split(ev.Subject, "/") // skerry, fleet, device, report; or hint after the fleet
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	select {
	case r.changed <- struct{}{}:
	default:
	}
	if len(parts) == 3 {
		if hint, err := fleetsync.ParseHint(ev.Data); err == nil {
			r.hint = max(r.hint, hint.Revision)
		}
		return
	}
	if len(parts) != 4 || fleetsync.CheckTopicName(parts[1]) != nil || fleetsync.CheckTopicName(parts[2]) != nil {
		return
	}
	r.takeFrom(parts[1], parts[2], parts[3], ev)
}

func (r *reports) takeFrom(fleet, device, what string, ev *agent.Event) {
	key := fleet + "/" + device
	if len(ev.Data) == 0 && what == "report" { // somebody removed it
		delete(r.devices, key)
		return
	}
	d := r.devices[key]
	if d == nil && len(r.devices) == maxReported {
		return
	}
	if d == nil {
		d = &reported{fleet: fleet, device: device}
		r.devices[key] = d
	}
	if what == "online" {
		online := string(ev.Data) == "1"
		if d.online && !online && !ev.Retained {
			d.offlineSince = time.Now()
		}
		d.online = online
		return
	}
	report, err := fleetsync.ParseReport(ev.Data)
	if err == nil && report.Device != device {
		err = errors.New("it is about another device")
	}
	if err != nil {
		d.unreadable = err.Error()
		return
	}
	d.report, d.unreadable = &report, ""
}

// fleets are those whose devices have reported.
func (r *reports) fleets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]bool{}
	for _, d := range r.devices {
		found[d.fleet] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func (r *reports) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.devices)
}

// view is all of it as it is shown, by the clock now.
func (r *reports) view(o *fleetStatusOptions, now time.Time) *fleetView {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &fleetView{At: now.UTC().Truncate(time.Second), Fleet: o.fleet, Hinted: r.hint, Newest: r.hint}
	var all []*reported
	for _, key := range slices.Sorted(maps.Keys(r.devices)) {
		d := r.devices[key]
		if d.report == nil && d.unreadable == "" { // only that it is there, or was
			continue
		}
		all, v.Fleet = append(all, d), d.fleet
		if d.report != nil {
			v.Newest = max(v.Newest, d.report.Revision)
		}
	}
	v.fill(all, o)
	return v
}
