package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// runner is a target or a meter that does something of its own beside being
// asked.
type runner interface {
	Run(ctx context.Context) error
}

// wireLinks makes the meters of the links.
func (d *device) wireLinks() error {
	for _, l := range d.cfg.Links {
		m, err := uplink.NewMeter(uplink.LinkOptions{
			Name: l.Name, Day: int64(l.Day), Month: int64(l.Month), Rate: int64(l.Rate), Reserve: int64(l.Reserve), Metered: l.Metered,
			Limit: func(function string) int64 { return d.agent.UplinkLimit(function) },
			Now:   d.clock.Reached, Sure: d.clock.Sure, Log: d.log,
		}, d.store)
		if err != nil {
			return err
		}
		d.meters = append(d.meters, m)
		d.beside = append(d.beside, m)
	}
	return nil
}

// meter is the meter of the link of that name, nil for no name.
func (d *device) meter(name string) *uplink.Meter {
	for _, m := range d.meters {
		if m.Name() == name {
			return m
		}
	}
	return nil
}

// wireTargets makes an outbox for each target.
func (d *device) wireTargets(tune tuning) error {
	for i := range d.cfg.Targets {
		t := &d.cfg.Targets[i]
		c := t.uplink(d.cfg.Device.ID)
		opts := uplink.Options{
			Name: t.Name, Kind: t.Kind, InFlight: t.InFlight, MaxBackoff: tune.maxBackoff,
			Past: d.clock.Past, State: d.store, Sent: d.telemetry.sent(t.Name), Log: d.log,
		}
		c.Follow = d.telemetry.follow(t.Name)
		if m := d.meter(d.cfg.linkOf(t.Link)); m != nil { // a nil Meter is no nil Link
			c.Dial, opts.Link = m.DialContext, m
		}
		c.MQTT = newTargetClient(d.log, func() { d.targets[i].Retry() }) // what waits goes as soon as there is a connection
		target, err := uplink.Open(c)
		if err != nil {
			return fmt.Errorf("target %q: %w", t.Name, err)
		}
		if r, ok := target.(runner); ok {
			d.beside = append(d.beside, r)
		}
		d.targets = append(d.targets, uplink.NewOutbox(d.store.Levels(uplink.Levels(t.Name)...), d.store, target, opts))
	}
	return nil
}

// wireKeeper makes what bounds all that waits for targets.
func (d *device) wireKeeper() {
	opts := uplink.KeeperOptions{Disk: int64(d.cfg.Uplink.Disk), Hold: d.cfg.Uplink.Full == uplink.FullHold, Left: d.clock.Left, Log: d.log}
	for _, t := range d.cfg.Targets {
		opts.Targets = append(opts.Targets, t.Name)
	}
	d.keeper = uplink.NewKeeper(d.store, opts)
}

// uplinkStatus implements admin.Uplink's UplinkStatus.
func (d *device) uplinkStatus() agent.UplinkStatus {
	s := agent.UplinkStatus{Targets: d.targetStatus(), Links: []agent.LinkStatus{}}
	for _, m := range d.meters {
		s.Links = append(s.Links, m.Status())
	}
	s.Disk = d.keeper.Disk()
	s.Flash = agent.FlashStatus{Written: -1, Accepted: d.events().Bytes}
	if now := writtenBytes(); now >= 0 {
		s.Flash.Written = now - max(d.written, 0)
	}
	for _, t := range s.Targets {
		s.Flash.Delivered += t.BytesUp
	}
	return s
}

// targetStatus is that of all targets, also of those that the configuration does
// not name any more, while something waits for them.
func (d *device) targetStatus() []agent.TargetStatus {
	list, bound := []agent.TargetStatus{}, map[string]bool{}
	for i, o := range d.targets {
		t := o.Status()
		t.Link = d.cfg.linkOf(d.cfg.Targets[i].Link)
		kept := d.keeper.Drops(t.Name)
		t.Drops.Replaced += d.agent.Replaced(t.Name)
		t.Drops.Expired += kept.Expired
		t.Drops.Evicted += kept.Evicted
		list, bound[t.Name] = append(list, t), true
	}
	b := backlog{d.store, d.clock}
	for _, name := range b.targets() {
		if !bound[name] {
			t := b.status(name)
			t.Drops = d.keeper.Drops(name)
			t.LastError = goneText("target")
			list = append(list, t)
		}
	}
	return list
}

// goneText says what becomes of the records of a target or broker that the
// configuration does not name any more.
func goneText(what string) string {
	return "this " + what + " is not in the configuration any more: its records wait until it is"
}

func (d *device) events() agent.Counts {
	var s agent.Status
	d.agent.Status(&s)
	return s.Events
}

// writtenBytes is what this process has had written to block devices, by the
// kernel's count; -1 where that is not told.
func writtenBytes() int64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return -1
	}
	_, rest, ok := strings.Cut(string(text), "\nwrite_bytes: ")
	var n int64
	if _, err := fmt.Sscanf(rest, "%d", &n); !ok || err != nil {
		return -1
	}
	return n
}
