package agent_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestAFullWindowClosesEarly(t *testing.T) {
	b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherTumbling, Size: 100 * 365 * 24 * time.Hour}, agent.Options{})
	large := strconv.Quote(strings.Repeat("x", 300<<10)) // of two pieces
	for range 5 {
		b.wait(b.offer("s/1", large, agent.Origin{}))
	}
	w := b.windows(1)[0]
	if !w.Partial || w.Count != 3 || w.data() != strings.Join([]string{large, large, large}, " ") {
		t.Errorf("%d events, partial %v", w.Count, w.Partial)
	}
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 2}) // what is left closes under the old rule
	w = b.windows(2)[1]
	if w.Kind != "tumbling" || !w.Partial || w.Count != 2 {
		t.Errorf("what came after it: %s of %d, partial %v", w.Kind, w.Count, w.Partial)
	}
	b.eventually("nothing is left", func() error {
		if keys := b.store.aside(); len(keys) > 0 {
			return fmt.Errorf("%q", keys)
		}
		return nil
	})
}

func TestFullInboxPushesBackUntilAWindowCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := startGather(t, newMemory(), agent.Gather{Kind: agent.GatherSession, Size: 10 * time.Second}, agent.Options{},
			func(f *agent.Function, _ *agent.Trigger) { f.Limits.Inbox = 3000 })
		var acked atomic.Int64
		for i := range 20 {
			b.Offer(&agent.Event{Via: "plant", Subject: "s/" + strconv.Itoa(i), Data: []byte(strconv.Itoa(i)), QoS: 1}, func(err error) {
				if err != nil {
					t.Errorf("event %d: %v", i, err)
				}
				acked.Add(1)
			})
		}
		synctest.Wait()
		if n := acked.Load(); n == 0 || n > 15 { // one put aside takes 350 bytes, one in the inbox 130
			t.Errorf("%d of 20 events found room in 3000 bytes", n)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if acked.Load() != 20 || b.ran() != 20 {
			t.Errorf("a minute later %d of 20 are acknowledged, and %d windows ran", acked.Load(), b.ran())
		}
		b.stop()
	})
}

// Windows that overlap close early one by one; what comes later for them is still
// in one of them, and nothing is twice in any.
func TestFullSlidingWindowsLoseNothing(t *testing.T) {
	g := agent.Gather{Kind: agent.GatherSliding, Size: 90 * 24 * time.Hour, Every: 30 * 24 * time.Hour}
	b := startGather(t, newMemory(), g, agent.Options{})
	large := strings.Repeat("x", 150<<10)
	for i := range 20 {
		b.wait(b.offer("s/1", strconv.Quote(strconv.Itoa(i)+large), agent.Origin{}))
	}
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 2}) // which closes the rest
	b.eventually("all is closed", func() error {
		if keys := b.store.aside(); len(keys) > 0 {
			return fmt.Errorf("%q", keys)
		}
		return nil
	})
	b.eventually("all ran", func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		found, twice := map[string]bool{}, map[string]bool{}
		for i := range b.got {
			var w windowed
			if err := json.Unmarshal(b.got[i].Data, &w); err != nil {
				return err
			}
			for _, e := range w.Events {
				id := w.Start.String() + e.ID
				if twice[id] || !w.Partial || len(b.got[i].Data) > 3<<19 {
					return fmt.Errorf("%s: twice %v, partial %v, %d bytes", id, twice[id], w.Partial, len(b.got[i].Data))
				}
				twice[id], found[e.ID] = true, true
			}
		}
		if len(found) != 20 {
			return fmt.Errorf("%d of 20 events", len(found))
		}
		return nil
	})
}

// More windows are open than a key may have. Each closes early, and what comes
// later for one is not late; but not all of them can be remembered one by one.
func TestManyOpenWindowsAreNotRememberedOneByOne(t *testing.T) {
	g := agent.Gather{Kind: agent.GatherTumbling, Size: time.Second, Time: "t", Lateness: 744 * time.Hour}
	b := startGather(t, newMemory(), g, agent.Options{})
	const windows = 3500
	offer := func(at int) { b.wait(b.offer("s/1", fmt.Sprintf(`{"t":%d}`, 1_700_000_000+at), agent.Origin{})) }
	for i := range windows {
		offer(i)
	}
	b.store.mu.Lock()
	for k, w := range b.store.state {
		if strings.HasPrefix(k[0], "gather/") && len(w.Value) > 10<<10 {
			t.Errorf("%d bytes are kept under %s", len(w.Value), k[1])
		}
	}
	b.store.mu.Unlock()
	offer(3)
	b.change(agent.Gather{Kind: agent.GatherBatch, Count: 2}) // which closes the rest
	count := 0
	for _, w := range b.windows(windows + 1) {
		count += w.Count
	}
	if late := b.status().Functions[0].Late; count != windows+1 || late != 0 {
		t.Errorf("%d of %d events, %d late", count, windows+1, late)
	}
}
