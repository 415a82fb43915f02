package main

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestFleetKill9 kills the agent with SIGKILL at any point of one update after the
// other, whose 3 MB come over a link that breaks every 100 kB and stands still now and
// then, while events flow. What runs is always one version, whole; no event is lost or
// run twice, none by an older version than one before it; and in the end the newest
// version runs, without help. TEST_KILLS sets how often.
func TestFleetKill9(t *testing.T) {
	t.Parallel()
	kills := 12
	if n, err := strconv.Atoi(os.Getenv("TEST_KILLS")); err == nil {
		kills = n
	}
	f := newFleetRig(t, "", 3_000_000, 1, 2, 3, 4)
	f.link.Set(testbed.Link{Delay: time.Millisecond, CutDown: 100_000, Loss: 0.001, Stall: 300 * time.Millisecond})
	f.start()
	f.running(2)
	f.plant.Rouse(time.Minute)
	stop, flooded, twins := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		f.plant.Flood(200, stop)
		close(flooded)
	}()
	go func() {
		f.books.publish(f.broker.URL, stop)
		close(twins)
	}()
	looks := f.watch(stop)
	target, updates := versionName(1), 0
	var recovery []time.Duration
	n := 0
	for ; n < kills || updates < 2; n++ { // a slow computer may be killed before it gets far
		if slices.Equal(f.status().Apps, []string{target}) {
			v := f.books.assigned()
			f.assign(v)
			target = versionName(v)
			updates++
		}
		wait(rand.N(2500 * time.Millisecond))
		if n%5 == 4 {
			f.link.Freeze()
			wait(rand.N(500 * time.Millisecond))
		}
		f.proc.Kill()
		began := time.Now()
		f.start()
		f.eventually("a version runs again", func(s agent.Status) bool { return len(s.Functions) == 2 })
		took := time.Since(began)
		if recovery = append(recovery, took); took > 5*time.Second {
			t.Logf("it took %s from start to running:\n%s", took, f.proc.Output())
		}
	}
	f.runs(target)
	f.books.sees(target)
	close(stop)
	<-flooded
	<-twins
	f.plant.Settle()
	f.plant.Complete(5 * time.Minute)
	f.books.complete(5 * time.Minute)
	f.proc.Stop()
	for _, wrong := range f.plant.Audit(readLedger(t, f.path("data/store"))) {
		t.Error(wrong)
	}
	slices.Sort(recovery)
	link := f.link.Stats()
	t.Logf("%d kills in %d updates; the link broke %d times and brought %d MB; %d looks at what runs; follow-ups by version: %v",
		n, updates, link.Resets, link.Down/1e6, <-looks, f.books.total[1:])
	t.Logf("%d events; from start to running: median %s, worst %s", f.plant.Published()+len(f.books.least),
		recovery[len(recovery)/2].Round(time.Millisecond), recovery[len(recovery)-1].Round(time.Millisecond))
}
