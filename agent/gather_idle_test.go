package agent_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// idle tells of which topics s/0, s/1, … nothing is put aside but they are remembered.
func (m *memory) idle() map[int]bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[int]bool{}
	for k := range m.state {
		if topic, ok := strings.CutPrefix(k[1], "i/s/"); ok && strings.HasPrefix(k[0], "gather/") {
			n, _ := strconv.Atoi(topic)
			found[n] = true
		}
	}
	return found
}

func TestWindowsForgetTheOldestOfTooManyKeys(t *testing.T) {
	const most = 10_000
	store := newMemory()
	store.fail = func(*agent.Frame) error { store.frames = nil; return nil }
	b := startGather(t, store, agent.Gather{Kind: agent.GatherTumbling, Size: time.Millisecond}, agent.Options{OrphanAfter: time.Millisecond},
		func(f *agent.Function, _ *agent.Trigger) { f.Limits.Inbox = 1 << 30 })
	for i := range most / 100 { // those of a hundred topics are about as old as each other
		for n := range 100 {
			b.offer("s/"+strconv.Itoa(i*100+n), "1", agent.Origin{})
		}
		b.eventually("they close", func() error {
			if n := len(store.idle()); n != (i+1)*100 {
				return fmt.Errorf("%d keys", n)
			}
			return nil
		})
	}
	b.wait(b.offer("s/"+strconv.Itoa(most), "1", agent.Origin{}))
	b.eventually("the oldest go, and the newest stay", func() error {
		kept := store.idle()
		if len(kept) != most*9/10 || kept[0] || kept[899] || !kept[1100] || !kept[most] {
			return fmt.Errorf("%d kept; %v %v %v %v", len(kept), kept[0], kept[899], kept[1100], kept[most])
		}
		return nil
	})
}

// TestKeysOfWindowsFromBeforeAreBounded begins with more keys than may be
// remembered, some of them open.
func TestKeysOfWindowsFromBeforeAreBounded(t *testing.T) {
	store := newMemory()
	g := agent.Gather{Kind: agent.GatherTumbling, Size: time.Hour, Time: "t"}
	b := startGather(t, store, g, agent.Options{})
	b.wait(b.offer("s/20000", `{"t":1700000000}`, agent.Origin{})) // it is open for long
	b.stop()
	store.mu.Lock()
	for k, w := range store.state {
		if topic, ok := strings.CutPrefix(k[1], "k/"); ok {
			store.state[[2]string{k[0], "i/" + topic}] = w // of an earlier window
			for i := range 11_000 {
				store.state[[2]string{k[0], "i/s/" + strconv.Itoa(i)}] = w
			}
		}
	}
	store.mu.Unlock()
	startGather(t, store, g, agent.Options{})
	b.eventually("some go", func() error {
		if kept := store.idle(); len(kept) != 9001 || !kept[20000] {
			return fmt.Errorf("%d kept", len(kept))
		}
		return nil
	})
}
