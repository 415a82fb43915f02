package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// News goes when it has settled, not too often, and daily.
func TestNewsHasItsPace(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	n := news{daily: dailyReport}
	sent := map[time.Duration]string{}
	var last time.Duration
	step := func(at time.Duration, text string) {
		if n.ready(text, start.Add(at)) {
			n.told(text, start.Add(at))
			sent[at], last = text, at
		}
	}
	step(0, "a")
	step(3*time.Second, "a")
	if sent[3*time.Second] != "a" {
		t.Error("the first report waits for more than one look")
	}
	for at := 6 * time.Second; at < 25*time.Hour; at += 3 * time.Second {
		step(at, "a")
	}
	if len(sent) != 2 || last < 24*time.Hour {
		t.Errorf("nothing is new, and it is told %d times, last after %s", len(sent), last)
	}
	clear(sent)
	for i := range 24 * 1200 { // a day in which each look shows something else
		step(25*time.Hour+time.Duration(i)*3*time.Second, fmt.Sprint(i))
	}
	if len(sent) < 90 || len(sent) > 110 {
		t.Errorf("a device that always has news tells them %d times a day", len(sent))
	}
}

// What moves all the time makes no report due, what a person must know does.
func TestGist(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	base := func() fleetsync.Report {
		return fleetsync.Report{
			Device: "gw7", Time: at, Error: "asked at 12:00", Dead: 3, Apps: []agent.AppStatus{{Name: "a", Version: "1", State: "held", Reason: "again at 12:00"}},
			Outbox: fleetsync.ReportOutbox{Waiting: 7, Oldest: at.Add(-time.Minute)}, Disk: fleetsync.ReportDisk{Free: 1000},
		}
	}
	was := gist(base())
	for _, change := range []func(*fleetsync.Report){
		func(r *fleetsync.Report) { r.Time = at.Add(10 * time.Minute) },
		func(r *fleetsync.Report) { r.Error = "asked at 13:00" },
		func(r *fleetsync.Report) { r.Dead = 9 },
		func(r *fleetsync.Report) { r.Outbox = fleetsync.ReportOutbox{} },
		func(r *fleetsync.Report) { r.Disk.Free = 5 },
		func(r *fleetsync.Report) { r.Checked = at },
		func(r *fleetsync.Report) { r.Apps[0].Reason, r.Apps[0].Until = "again at 13:00", at },
	} {
		r := base()
		if change(&r); gist(r) != was {
			t.Errorf("%+v is news", r)
		}
	}
	for _, change := range []func(*fleetsync.Report){
		func(r *fleetsync.Report) { r.Apps[0].State = "good" },
		func(r *fleetsync.Report) { r.Apps[0].Version = "2" },
		func(r *fleetsync.Report) { r.Revision++ },
		func(r *fleetsync.Report) { r.Dead = 10 },
		func(r *fleetsync.Report) { r.Dead = 0 },
		func(r *fleetsync.Report) { r.Outbox.Oldest = at.Add(-2 * time.Hour) },
		func(r *fleetsync.Report) { r.ClockSure = true },
		func(r *fleetsync.Report) { r.Error = "" },
		func(r *fleetsync.Report) { r.Stopped = []string{"a/f"} },
		func(r *fleetsync.Report) { r.OverBudget = []string{"far"} },
		func(r *fleetsync.Report) { r.Disk.Low = true },
		func(r *fleetsync.Report) { r.Agent = "2" },
	} {
		r := base()
		if change(&r); gist(r) == was {
			t.Errorf("%+v is no news", r)
		}
	}
}

func TestFleetIsConfigured(t *testing.T) {
	const broker = "brokers: [{name: hub, url: 'tcp://h'}]\n"
	c, err := LoadConfig(writeConfig(t, broker+"fleet: {name: west, broker: hub}"))
	if err != nil || c.Fleet != (FleetConfig{Name: "west", Broker: "hub", Keepalive: 5 * time.Minute}) {
		t.Errorf("%+v, %v", c.Fleet, err)
	}
	for _, tt := range []struct{ yaml, want string }{
		{broker + "fleet: {broker: hub}", "fleet.name: is 1 to 64 letters"},
		{broker + "fleet: {name: a/b, broker: hub}", "fleet.name: is 1 to 64 letters"},
		{broker + "fleet: {name: west, broker: hbu}", `fleet.broker: is the name of one of brokers, or of the embedded one (hub), not "hbu"`},
		{"registry: {ref: 'oci-layout:/x', root_file: root.json}\nfleet: {name: west, broker: hub}", `fleet.broker: is "hub", and there is no broker: describe it in brokers, or set fleet.url instead`},
		{broker + "fleet: {name: west, broker: hub, keepalive: 1s}", "fleet.keepalive: is from 2s to 18h"},
		{"device: {id: gw7}\nbrokers: [{name: hub, url: 'tcp://h', will_topic: skerry/west/gw7/online}]\nfleet: {name: west, broker: hub}", "fleet.broker: tells on skerry/west/gw7/online whether the device is there"},
		{broker + "fleet: {name: west, broker: hub, url: 'tcp://x'}", "fleet.broker: is set and url too: keep one"},
		{"fleet: {name: west, url: 'http://x'}", "fleet.url: is a URL that starts with tcp://"},
		{"fleet: {name: west, url: 'tcp://x', password: p}", "fleet.username: is missing"},
		{broker + "fleet: {name: west, username: u}", "fleet.url: is missing: it names the broker that the other keys are for"},
	} {
		if _, err := LoadConfig(writeConfig(t, tt.yaml)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
		}
	}
}
