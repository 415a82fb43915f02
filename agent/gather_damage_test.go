package agent_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// spoil has all that is kept under keys with the prefix, in scopes with the other,
// be what no release wrote.
func (m *memory) spoil(scope, prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, w := range m.state {
		if strings.HasPrefix(k[0], scope) && strings.HasPrefix(k[1], prefix) {
			w.Value = []byte("spoilt")
			m.state[k] = w
			n++
		}
	}
	return n
}

// TestWhatIsPutAsideMayBeSpoilt: the agent starts, other keys go on as if nothing
// had been, and the key that lost its events begins anew.
func TestWhatIsPutAsideMayBeSpoilt(t *testing.T) {
	for _, tt := range []struct {
		name, scope, prefix string
		want                map[string]string
	}{
		{"a key", "gather/", "k/s/1", map[string]string{"s/1": "3 4", "s/2": "2"}},
		{"the rule", "gather", "gather/", map[string]string{"s/1": "1 3 4"}}, // s/2 waits for its next event, or the next start
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemory()
				g := agent.Gather{Kind: agent.GatherBatch, Count: 3, Size: time.Hour}
				b := startGather(t, store, g, agent.Options{})
				b.wait(b.offer("s/1", "1", agent.Origin{}))
				b.wait(b.offer("s/2", "2", agent.Origin{}))
				b.stop()
				if n := store.spoil(tt.scope, tt.prefix); n != 1 {
					t.Fatalf("%d values are spoilt", n)
				}
				b = startGather(t, store, g, agent.Options{})
				three, four := b.offer("s/1", "3", agent.Origin{}), b.offer("s/1", "4", agent.Origin{})
				<-time.After(time.Minute)
				b.wait(three)
				b.wait(four)
				<-time.After(2 * time.Hour)
				synctest.Wait()
				found := map[string]string{}
				for _, w := range b.windows(len(tt.want)) {
					found[w.Key] = w.data()
				}
				if !maps.Equal(found, tt.want) {
					t.Errorf("ran %v, want %v", found, tt.want)
				}
				b.stop()
			})
		})
	}
}

// TestWhatAGateKeepsMayBeSpoilt: it cannot be read, and takes nobody's events.
func TestWhatAGateKeepsMayBeSpoilt(t *testing.T) {
	store := newMemory()
	tr := on("app/f", "s/+")
	tr.Gate, tr.Retry = agent.Gate{OnChange: []string{"t"}}, agent.Retry{MaxAttempts: 3, Backoff: time.Millisecond}
	b := start(t, store, guests{"app/f": count}, agent.Options{Language: words{"t": field("t")}})
	b.apply([]agent.Function{fn("app/f")}, tr)
	b.wait(b.offer("s/1", `{"t":1}`, agent.Origin{}))
	store.mu.Lock()
	store.unreadable = func(scope, key string) error {
		if scope == "gate/"+tr.Name && key == "s/1" {
			return errors.New("damaged")
		}
		return nil
	}
	store.mu.Unlock()
	b.wait(b.offer("s/1", `{"t":1}`, agent.Origin{}))
	b.eventually("the event runs", func() error {
		if v, _ := store.Get("state/app/f", "total"); string(v) != "2" {
			return fmt.Errorf("%s runs", v)
		}
		return nil
	})
	if s := b.status().Functions[0]; s.Dead != 0 {
		t.Errorf("%d dead letters: %s", s.Dead, s.LastError)
	}
}
