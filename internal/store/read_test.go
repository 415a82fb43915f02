package store_test

import (
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// TestReadTellsWhenAValueExpires, in memory and in the database.
func TestReadTellsWhenAValueExpires(t *testing.T) {
	s := open(t, t.TempDir(), store.Options{})
	at := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	commit(t, s, agent.Frame{Writes: []agent.Write{
		{Scope: "state/a/f", Key: "brief", Value: []byte("x"), Expires: at}, write("long", "y"),
	}})
	for range 2 {
		brief, err := s.Read("state/a/f", "brief")
		if err != nil || string(brief.Value) != "x" || !brief.Expires.Equal(at) || brief.Key != "brief" || brief.Scope != "state/a/f" {
			t.Errorf("read %+v, %v", brief, err)
		}
		if long, err := s.Read("state/a/f", "long"); err != nil || string(long.Value) != "y" || !long.Expires.IsZero() {
			t.Errorf("read %+v, %v", long, err)
		}
		if none, err := s.Read("state/a/f", "none"); err != nil || none.Value != nil {
			t.Errorf("read %+v, %v", none, err)
		}
		if err := s.Checkpoint(); err != nil {
			t.Fatal(err)
		}
	}
}
