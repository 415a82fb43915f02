package agent_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// wallClock is one that jumps.
type wallClock struct {
	ahead atomic.Int64 // of the time, ns
	right atomic.Bool
}

func newWallClock(ahead time.Duration) *wallClock {
	c := &wallClock{}
	c.jump(ahead)
	return c
}

func (c *wallClock) jump(d time.Duration) { c.ahead.Add(int64(d)) }

func (c *wallClock) now() (time.Time, bool) {
	return time.Now().Add(time.Duration(c.ahead.Load())), c.right.Load()
}

const year = 365 * 24 * time.Hour

func TestWrongWallClocksCloseNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := newWallClock(-30 * year) // 1970
		b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherBatch, Size: 10 * time.Second}, agent.Options{Clock: agent.NewClock(wall.now)})
		for _, jump := range []time.Duration{0, year, -2 * year, 60 * year} {
			ran := b.ran()
			wall.jump(jump)
			b.wait(b.offer("s/1", "1", agent.Origin{}))
			<-time.After(9 * time.Second)
			wall.jump(jump)
			<-time.After(900 * time.Millisecond)
			if b.ran() != ran {
				t.Errorf("a jump by %v closed a batch", jump)
			}
			<-time.After(200 * time.Millisecond)
			if b.ran() != ran+1 {
				t.Errorf("after a jump by %v a batch did not close in time", jump)
			}
		}
		b.stop()
	})
}

func TestArrivalGoesByTheTimeKnownToHaveCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := newWallClock(30 * year)
		store := newMemory()
		b := startGather(t, store, agent.Gather{Kind: agent.GatherTumbling, Size: time.Hour}, agent.Options{Clock: agent.NewClock(wall.now)})
		b.wait(b.offer("s/1", "1", agent.Origin{}))
		<-time.After(2 * time.Second)
		if b.ran() != 0 {
			t.Error("a window closed although nobody knows the time")
		}
		wall.right.Store(true) // it is later than was known: the window is over
		<-time.After(3 * time.Second)
		b.wait(b.offer("s/1", "2", agent.Origin{}))
		wall.jump(-year) // never back
		<-time.After(61 * time.Minute)
		synctest.Wait()
		w := b.windows(2)
		truly := time.Now().Add(30*year - 61*time.Minute).Truncate(time.Hour)
		if w[0].data() != "1" || w[1].data() != "2" || !w[1].Start.Equal(truly) || w[1].End.Sub(w[1].Start) != time.Hour {
			t.Errorf("%+v, want the second from %v", w, truly)
		}
		b.wait(b.offer("s/1", "3", agent.Origin{}))
		b.stop()
		<-time.After(3 * time.Hour) // the time in which nothing runs counts, once it is known
		wall.jump(year)
		b = startGather(t, store, agent.Gather{Kind: agent.GatherTumbling, Size: time.Hour}, agent.Options{Clock: agent.NewClock(wall.now)})
		<-time.After(2 * time.Second)
		synctest.Wait()
		if w := b.windows(1); w[0].data() != "3" || w[0].Partial {
			t.Errorf("after a pause: %+v", w)
		}
		b.stop()
	})
}

func TestEventTimeDoesNotFollowTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := newWallClock(-30 * year)
		store := newMemory()
		g := agent.Gather{Kind: agent.GatherTumbling, Size: time.Minute, Time: "t", Lateness: 10 * time.Second}
		b := startGather(t, store, g, agent.Options{Clock: agent.NewClock(wall.now)})
		at := 1_700_000_040 // the start of a minute
		offer := func(after int) { b.wait(b.offer("s/1", fmt.Sprintf(`{"t":%d}`, at+after), agent.Origin{})) }
		offer(5)
		wall.jump(60 * year)
		wall.right.Store(true)
		<-time.After(2 * time.Second)
		offer(2) // not late, although the clock went on by 60 years
		b.stop()
		<-time.After(24 * time.Hour) // the broker keeps what comes meanwhile
		b = startGather(t, store, g, agent.Options{Clock: agent.NewClock(wall.now)})
		offer(8)
		offer(59)
		offer(75) // ends the minute, less the lateness: 65
		w := b.windows(1)[0]
		if w.Count != 4 || w.Late {
			t.Errorf("%+v", w)
		}
		offer(59) // now it is late
		<-time.After(2 * time.Minute)
		synctest.Wait()
		if s := b.status(); len(b.windows(2)[1].Events) != 1 || s.Functions[0].Late != 1 {
			t.Errorf("%d late, then %+v", s.Functions[0].Late, b.windows(2)[1])
		}
		b.stop()
	})
}

func TestGatheredEventsSayWhatTheirTimeIsWorth(t *testing.T) {
	for _, g := range []agent.Gather{{Kind: agent.GatherDebounce, Size: time.Second}, {Kind: agent.GatherBatch, Size: time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			wall := newWallClock(0)
			b := startGather(t, newMemory(), g, agent.Options{Clock: agent.NewClock(wall.now)})
			b.wait(b.offer("s/1", "1", agent.Origin{}))
			wall.right.Store(true)
			<-time.After(3 * time.Second)
			b.wait(b.offer("s/2", "2", agent.Origin{}))
			<-time.After(3 * time.Second)
			synctest.Wait()
			if b.ran() != 2 || !b.got[0].Unsure || b.got[1].Unsure {
				t.Errorf("kind %d: %+v", g.Kind, b.got)
			}
			b.stop()
		})
	}
}
