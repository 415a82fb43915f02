package store_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// TestLazyIsSyncedWithinItsTime commits one frame that may wait for an hour and
// then one that may not.
func TestLazyIsSyncedWithinItsTime(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{LazySync: time.Hour})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	before := s.Status().Syncs
	commit(t, s, agent.Frame{Writes: []agent.Write{write("a", "1")}, Lazy: true})
	commit(t, s, agent.Frame{Writes: []agent.Write{write("b", "1")}, Lazy: true, Within: time.Hour})
	commit(t, s, agent.Frame{Writes: []agent.Write{write("c", "1")}, Lazy: true, Within: 20 * time.Millisecond})
	if n := s.Status().Syncs - before; n != 0 {
		t.Errorf("%d syncs at once", n)
	}
	testbed.Eventually(t, 10*time.Second, "one sync for all of them", func() error {
		if s.Status().Syncs == before {
			return errors.New("none yet")
		}
		return nil
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestPastDecidesWhatExpires keeps a value whose time the wall clock says is over.
func TestPastDecidesWhatExpires(t *testing.T) {
	var over atomic.Bool
	s := open(t, t.TempDir(), store.Options{Past: func(time.Time) bool { return over.Load() }})
	w := write("brief", "x")
	w.Expires = time.Unix(3600, 0)
	commit(t, s, agent.Frame{Writes: []agent.Write{w}})
	for range 2 { // in memory, then in Badger
		if got := get(t, s, "brief"); got != "x" {
			t.Errorf("brief = %s before its time", got)
		}
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
	over.Store(true)
	if got := get(t, s, "brief"); got != "<none>" {
		t.Errorf("brief = %s after its time", got)
	}
}
