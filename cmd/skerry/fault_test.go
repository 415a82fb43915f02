package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

const leakBound = 2*centralJobs + 8 // goroutines or files more than before are no leak yet: connections are kept

// links are the gateway's ways to its broker and to the central FaaS.
type links struct{ broker, central *testbed.Proxy }

func (l links) both(f func(*testbed.Proxy)) {
	f(l.broker)
	f(l.central)
}

func (l links) set(link testbed.Link) { l.both(func(p *testbed.Proxy) { p.Set(link) }) }

// TestBadLinksLoseNothing runs the gateway behind links that break in each way
// a link can break, while events keep coming. Nothing acknowledged is lost or
// counted twice, order per key holds, memory stays under its bound, nothing
// leaks, and nobody helps. FAULT_TIME is how long each of them lasts, FAULT_OFF
// how long the link is down and up in turns.
func TestBadLinksLoseNothing(t *testing.T) {
	length := seconds(t, "FAULT_TIME", 3*time.Second)
	off := seconds(t, "FAULT_OFF", time.Second)
	every := func(pause time.Duration, f func()) {
		for start := time.Now(); time.Since(start) < length; f() {
			wait(pause)
		}
	}
	for _, tt := range []struct {
		name string
		rate int
		run  func(links)
	}{
		{"resets", 500, func(l links) {
			every(200*time.Millisecond, func() { l.both((*testbed.Proxy).Reset) })
		}},
		{"cut in mid-packet", 500, func(l links) {
			l.set(testbed.Link{CutBehind: 1501})
			every(time.Second, func() { l.both((*testbed.Proxy).Reset) })
		}},
		{"half-open", 300, func(l links) {
			every(length/2, func() { l.both((*testbed.Proxy).Freeze) })
		}},
		{"black hole", 300, func(l links) {
			l.set(testbed.Link{Silent: true})
			l.both((*testbed.Proxy).Reset)
			wait(length)
		}},
		{"off and on", 200, func(l links) {
			for range 6 {
				l.set(testbed.Link{Refuse: true})
				l.both((*testbed.Proxy).Reset)
				wait(off)
				l.set(testbed.Link{})
				wait(off)
			}
		}},
		{"satellite", 100, func(l links) {
			l.set(testbed.Link{Delay: 600 * time.Millisecond, Loss: 0.02})
			wait(length)
		}},
		{"10 kB/s", 1000, func(l links) {
			l.set(testbed.Link{Rate: 10_000})
			wait(length)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) { badLink(t, tt.rate, tt.run) })
	}
}

// TestStandingStillLosesNothing stops the gateway and the broker, in turns, for
// longer than the keep-alive, as a machine does that is short of everything: each
// gives the connection up while the other has more for it.
func TestStandingStillLosesNothing(t *testing.T) {
	length := seconds(t, "FAULT_TIME", 10*time.Second)
	r := newLedgerRig(t, ledgerOptions{link: ", keepalive: 2s"})
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		r.plant.Flood(500, stop)
		close(flooded)
	}()
	for start := time.Now(); time.Since(start) < length; {
		for _, p := range []*testbed.Proc{r.proc, r.broker.Proc} {
			p.Freeze()
			wait(3500 * time.Millisecond)
			p.Thaw()
			wait(500 * time.Millisecond)
		}
	}
	close(stop)
	<-flooded
	r.plant.Complete(6 * time.Minute)
	r.audit(time.Second)
}

// badLink floods a gateway while its links are bad, mends them, and compares
// the books.
func badLink(t *testing.T, rate int, fault func(links)) {
	var l links
	r := newLedgerRig(t, ledgerOptions{
		broker: func(url string) (there string) {
			l.broker, there = testbed.InFront(t, url)
			return there
		},
		central: func(url string) (there string) {
			l.central, there = testbed.InFront(t, url)
			return there
		},
		link: ", keepalive: 2s",
	})
	stop := make(chan struct{})
	flooded := make(chan struct{})
	go func() {
		r.plant.Flood(rate, stop)
		close(flooded)
	}()
	testbed.Eventually(t, 30*time.Second, "events come through", func() error {
		if r.plant.Heard() < 100 {
			return fmt.Errorf("%d are there", r.plant.Heard())
		}
		return nil
	})
	before := r.usage()
	fault(l)
	worst := r.usage().rss
	l.set(testbed.Link{})
	close(stop)
	<-flooded
	r.plant.Complete(6 * time.Minute) // a target that was away is tried again after 5 minutes at the latest
	testbed.Eventually(t, 30*time.Second, "nothing has leaked", func() error {
		if u := r.usage(); u.goroutines > before.goroutines+leakBound || u.files > before.files+leakBound {
			return fmt.Errorf("there are %d goroutines and %d files, before the fault %d and %d", u.goroutines, u.files, before.goroutines, before.files)
		}
		return nil
	})
	if worst = max(worst, r.usage().rss); worst > memoryBound {
		t.Errorf("the gateway takes %d MiB, at most %d", worst>>20, memoryBound>>20)
	}
	ups, outs := r.plant.Repeats()
	t.Logf("%d events; %d follow-ups and %d publishes came again; at most %d MiB; broker %+v, central %+v",
		r.plant.Published(), ups, outs, worst>>20, l.broker.Stats(), l.central.Stats())
	r.audit(time.Second)
}
