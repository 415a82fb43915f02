package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// TestKill9LosesNothingAndCountsEachEventOnce publishes 1,000 QoS 1 events per
// second into a real mosquitto while the agent is killed with SIGKILL again and
// again. Every event's follow-up and publish must arrive, in the order of their
// key, and the state must have each event once. TEST_KILLS sets the rounds.
func TestKill9LosesNothingAndCountsEachEventOnce(t *testing.T) {
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil {
		kills = n
	}
	r := newLedgerRig(t, ledgerOptions{})
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		r.plant.Flood(1000, stop)
		close(flooded)
	}()
	var recovery []time.Duration
	for range kills {
		wait(time.Duration(50+rand.IntN(700)) * time.Millisecond)
		r.proc.Kill()
		wait(time.Duration(20+rand.IntN(100)) * time.Millisecond) // what was under way has arrived by then
		first := r.plant.FirstNew()
		started := time.Now()
		r.start()
		select {
		case at := <-first:
			recovery = append(recovery, at.Sub(started))
		case <-time.After(60 * time.Second):
			t.Fatalf("no event came through within 60 s of a start\n%s", r.proc.Output())
		}
	}
	close(stop)
	<-flooded
	r.audit(5 * time.Minute)

	slices.Sort(recovery)
	median, worst := recovery[len(recovery)/2], recovery[len(recovery)-1]
	ups, outs := r.plant.Repeats()
	t.Logf("%d kills, %d events; %d follow-ups and %d publishes came again, all recognisable", kills, r.plant.Published(), ups, outs)
	t.Logf("from start to the first event: median %s, worst %s", median.Round(time.Millisecond), worst.Round(time.Millisecond))
	if median > 2*time.Second {
		t.Errorf("it takes %s from start to the first event, at most 2 s", median)
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
