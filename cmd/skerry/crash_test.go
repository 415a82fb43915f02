package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/store"
)

// TestKill9LosesNothingAndCountsEachEventOnce publishes 1,000 QoS 1 events per
// second into a real mosquitto while the agent is killed with SIGKILL again and
// again. Every event's follow-up must arrive, and the state must be the number
// of events: none lost, none counted twice. TEST_KILLS sets the rounds.
func TestKill9LosesNothingAndCountsEachEventOnce(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil {
		kills = n
	}
	r, broker, cloud := newCounterRig(t)

	ctx, stop := context.WithCancel(context.Background())
	published := make(chan int, 1)
	go func() { published <- flood(ctx, t, broker.URL) }()
	for range kills {
		wait(time.Duration(50+rand.IntN(700)) * time.Millisecond)
		r.proc.Kill()
		wait(time.Duration(rand.IntN(100)) * time.Millisecond)
		r.start()
	}
	stop()
	events := <-published

	cloud.waitFor(t, events, 120*time.Second)
	r.proc.Stop()
	requests, ids, _ := cloud.counts()
	t.Logf("%d kills, %d events, %d requests: %d duplicates, all recognisable by id", kills, events, requests, requests-ids)
	if ids != events {
		t.Errorf("%d different ids for %d events: a rerun did not give the same id", ids, events)
	}
	if got := readState(t, r, "state/counter/counter", "total"); got != strconv.Itoa(events) {
		t.Errorf("the function counted %s, want %d", got, events)
	}
}

// wait is time that passes in the test's story, not a wait for something.
func wait(d time.Duration) { <-time.After(d) }

// flood publishes 1,000 events per second until ctx ends, and returns how many
// the broker acknowledged.
func flood(ctx context.Context, t *testing.T, url string) int {
	c := client(t, url)
	start, n := time.Now(), 0
	var tokens []paho.Token
	for ctx.Err() == nil {
		wait(10 * time.Millisecond)
		for due := int(time.Since(start).Milliseconds()); n < due; n++ {
			topic := fmt.Sprintf("count/line-1/s%03d", n%50)
			tokens = append(tokens, c.Publish(topic, 1, false, fmt.Sprintf(`{"n":%d}`, n)))
		}
	}
	for _, tok := range tokens {
		if err := token(tok); err != nil {
			t.Errorf("publish: %v", err)
		}
	}
	return n
}

// readState opens the store of a stopped agent.
func readState(t *testing.T, r *rig, scope, key string) string {
	t.Helper()
	st, err := store.Open(r.path("data/store"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	value, err := st.Get(scope, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}
