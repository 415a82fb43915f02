package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// hearing is what comes on a broker, by topic.
type hearing struct {
	mu sync.Mutex
	by map[string][]string
}

func hear(t *testing.T, url, filter string) *hearing {
	t.Helper()
	h := &hearing{by: map[string][]string{}}
	if err := token(client(t, url).Subscribe(filter, 1, func(_ paho.Client, m paho.Message) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.by[m.Topic()] = append(h.by[m.Topic()], string(m.Payload()))
	})); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hearing) on(topic string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.by[topic]...)
}

// wait waits until n messages came on topic.
func (h *hearing) wait(t *testing.T, topic string, n int) []string {
	t.Helper()
	testbed.Eventually(t, 30*time.Second, topic, func() error {
		if got := h.on(topic); len(got) < n {
			return fmt.Errorf("%d messages, want %d", len(got), n)
		}
		return nil
	})
	return h.on(topic)
}

const lifeApp = `apiVersion: skerry/v1
kind: App
metadata: {name: life, version: %s}
triggers:
  - {name: started, inside: {topic: started}, then: [{publish: told/started}]}
  - {name: changed, inside: {topic: deployment/changed}, then: [{publish: told/changed}]}
  - {name: link, inside: {topic: "link/{broker}/{way}"}, then: [{publish: "told/{broker}/{way}"}]}
`

// TestLifeOfAnAgent tells rules when it started, when a broker went and came, and
// that it was given something else to run.
func TestLifeOfAnAgent(t *testing.T) {
	t.Parallel()
	broker, other := testbed.StartMosquitto(t, testbed.MosquittoOptions{}), testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}, {name: cellar, url: '%s'}]\n", broker.URL, other.URL))
	h := hear(t, broker.URL, "told/#")
	r.write("app.yaml", fmt.Sprintf(lifeApp, "1.0.0"))
	r.publish(r.path("app.yaml"))
	r.start()
	r.eventually("the app runs, and is kept", func(s agent.Status) bool { return len(s.Apps) == 1 && s.Sync.Revision > 0 })
	r.proc.Stop() // its first start had nothing to run yet, and nobody to tell
	r.start()
	if got := h.wait(t, "told/started", 1); !strings.Contains(got[0], `"apps":["life@1.0.0"]`) {
		t.Errorf("started: %s", got[0])
	}
	h.wait(t, "told/cellar/up", 1)
	other.Stop()
	if got := h.wait(t, "told/cellar/down", 1); !strings.Contains(got[0], `"broker":"cellar","error":"`) {
		t.Errorf("link down: %s", got[0])
	}
	before := len(h.on("told/cellar/up"))
	other.Restart()
	h.wait(t, "told/cellar/up", before+1)
	r.write("app.yaml", fmt.Sprintf(lifeApp, "1.1.0"))
	r.publish(r.path("app.yaml"))
	testbed.Eventually(t, 30*time.Second, "told of the new version", func() error {
		got := h.on("told/changed")
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, `"apps":["life@1.1.0"]`) }) {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

// TestNoTickIsMissed kills an agent while a schedule ticks that makes up for what
// it missed: each tick comes, and runs once. (What it published may come twice.)
func TestNoTickIsMissed(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	r := newRig(t, fmt.Sprintf("brokers: [{name: plant, url: '%s'}]\nclock: {wait: 1ms}\n", broker.URL))
	h := hear(t, broker.URL, "tick")
	r.write("app.yaml", `apiVersion: skerry/v1
kind: App
metadata: {name: clock, version: 1.0.0}
triggers:
  - {name: tick, schedule: {every: 100ms, missed: all}, then: [{publish: tick, data: {due: "${data.due}", id: "${id}"}}]}
`)
	r.publish(r.path("app.yaml"))
	r.start()
	for range 3 {
		h.wait(t, "tick", len(h.on("tick"))+10)
		r.proc.Kill()
		off := time.Now().Add(500 * time.Millisecond)
		testbed.Eventually(t, 10*time.Second, "half a second", func() error {
			if time.Now().Before(off) {
				return errors.New("not yet")
			}
			return nil
		})
		r.start()
	}
	h.wait(t, "tick", len(h.on("tick"))+20)
	ids := map[time.Time]string{} // of the events, by due time
	var first, last time.Time
	for _, text := range h.on("tick") {
		var tick struct {
			Due time.Time
			ID  string
		}
		if err := json.Unmarshal([]byte(text), &tick); err != nil {
			t.Fatal(err)
		}
		if id := ids[tick.Due]; id != "" && id != tick.ID {
			t.Errorf("the tick of %s ran as %s and as %s", tick.Due, id, tick.ID)
		}
		if ids[tick.Due] = tick.ID; first.IsZero() {
			first = tick.Due
		}
		if tick.Due.After(last) {
			last = tick.Due
		}
	}
	for due := first; due.Before(last); due = due.Add(100 * time.Millisecond) {
		if ids[due] == "" {
			t.Errorf("the tick of %s never came", due)
		}
	}
	if want := int(last.Sub(first)/(100*time.Millisecond)) + 1; len(ids) != want {
		t.Errorf("%d different ticks, want %d", len(ids), want)
	}
}

func TestDiskIsLow(t *testing.T) {
	for _, tt := range []struct {
		used int64 // of 100
		err  string
		was  bool
		want bool
	}{
		{0, "", false, false},
		{89, "", false, false},
		{90, "", false, true},
		{80, "", true, true}, // it stays low until there is real room
		{74, "", true, false},
		{10, "no space left on device", false, true},
	} {
		if got := isLow(agent.StoreStatus{JournalBytes: tt.used, QuotaBytes: 100, Error: tt.err}, tt.was); got != tt.want {
			t.Errorf("%+v: low is %v", tt, got)
		}
	}
}
