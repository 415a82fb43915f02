package main

import (
	"context"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// wireSchedule makes the source of what the clock causes.
func (d *device) wireSchedule() *sensors.Schedule {
	return sensors.NewSchedule(d.cfg.Device.ID, sensors.ScheduleOptions{
		Clock: sensors.Clock{Wall: wallClock, Passed: d.clock.Reached, Wait: d.cfg.Clock.Wait},
		Notes: notes{store: d.store, lazy: true}, Log: d.log,
	})
}

// retryBroker has what waits for a broker go at once, now that it is there again.
func (d *device) retryBroker(name string) {
	for _, o := range d.brokers {
		if o.Status().Name == name {
			o.Retry()
		}
	}
}

// linked tells when the connection to a broker comes and goes.
func (d *device) linked(broker string) func(why error) {
	type link struct {
		Broker string `json:"broker"`
		Error  string `json:"error,omitempty"`
	}
	return func(why error) {
		if why == nil {
			d.retryBroker(broker)
			d.inside.Tell("link/"+broker+"/up", link{Broker: broker})
			return
		}
		d.inside.Tell("link/"+broker+"/down", link{broker, why.Error()})
	}
}

// Apply implements fleetsync.Applier: it tells of what the agent applied. The
// first time it has just started.
func (d *device) Apply(ctx context.Context, dep agent.Deployment) error {
	if err := d.agent.Apply(ctx, dep); err != nil {
		return err
	}
	type deployed struct {
		Version    string   `json:"version"` // of the agent
		Generation uint64   `json:"generation"`
		Apps       []string `json:"apps"` // "name@version"
	}
	now := deployed{Version: version, Generation: dep.Generation, Apps: []string{}}
	for _, app := range dep.Apps {
		now.Apps = append(now.Apps, app.Name+"@"+app.Version)
	}
	if d.applied.Swap(true) {
		d.inside.Tell("deployment/changed", now)
	} else {
		d.inside.Tell("started", now)
	}
	return nil
}

const (
	watchEvery = 5 * time.Second
	diskLow    = 90 // percent of the quota
	diskOK     = 75
)

// watch tells when the disk is nearly full, when it has room again, and once when
// the clock is trusted.
func (d *device) watch(ctx context.Context) error {
	trusted, low := false, false
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if now, right := wallClock(); right && !trusted {
			trusted = true
			d.inside.Tell("clock/trusted", map[string]time.Time{"time": now})
		}
		st := d.store.Status()
		was := low
		if low = isLow(st, was); low == was {
			continue
		}
		topic := "disk/ok"
		if low {
			topic = "disk/low"
		}
		d.inside.Tell(topic, map[string]any{"used_bytes": st.JournalBytes, "limit_bytes": st.QuotaBytes, "error": st.Error})
	}
}

// isLow tells whether there is little room; was says that there was little
// before, so that it does not change with every event.
func isLow(st agent.StoreStatus, was bool) bool {
	percent := int64(diskLow)
	if was {
		percent = diskOK
	}
	return st.Error != "" || st.JournalBytes*100 >= st.QuotaBytes*percent
}
