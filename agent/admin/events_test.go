package admin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// events is where the test's events come from.
type events struct {
	mu   sync.Mutex
	next int
	taps map[int]func(*agent.Event)
}

func (e *events) Tap(f func(*agent.Event)) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.taps == nil {
		e.taps = map[int]func(*agent.Event){}
	}
	n := e.next
	e.next++
	e.taps[n] = f
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.taps, n)
	}
}

// come shows an event to whoever looks, and tells how many do.
func (e *events) come(topic string, data []byte) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range e.taps {
		f(&agent.Event{ID: "k-1", Subject: topic, Data: data, Via: "plant"})
	}
	return len(e.taps)
}

func watch(t *testing.T, from *events, filter string) (*recording.Reader, func()) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	serveAll(t, path, &letters{}, from, &outboxes{})
	ctx, cancel := context.WithCancel(context.Background())
	body, err := admin.Watch(ctx, path, filter)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recording.NewReader(body)
	if err != nil || r.Header.Device != "gw7" || r.Header.Start.IsZero() {
		t.Fatalf("the header is %+v, %v", r.Header, err)
	}
	return r, func() {
		cancel()
		if err := body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEventsOverTheSocket(t *testing.T) {
	var from events
	r, stop := watch(t, &from, "line/+/temp")
	from.come("line/1/flow", []byte("x"))
	data := []byte(`{"t":1}`)
	from.come("line/1/temp", data)
	data[0] = 'X' // a source may use it again
	e, err := r.Next()
	if err != nil || e.Event == nil || e.Event.Subject != "line/1/temp" || string(e.Event.Data) != `{"t":1}` || e.Event.Via != "plant" {
		t.Fatalf("got %+v, %v", e, err)
	}
	stop()
	testbed.Eventually(t, 10*time.Second, "nobody looks any more", func() error {
		if n := from.come("line/1/temp", data); n > 0 {
			return fmt.Errorf("%d look", n)
		}
		return nil
	})
}

// TestASlowReaderHoldsNobodyUp sends much more than a reader takes that reads
// nothing: the events go on, and what it misses is counted.
func TestASlowReaderHoldsNobodyUp(t *testing.T) {
	var from events
	r, stop := watch(t, &from, "")
	defer stop()
	data, sent := bytes.Repeat([]byte("x"), 100_000), int64(0)
	for ; sent < 1000; sent++ {
		from.come("flood", data) // none of these waits
	}
	var got, missed int64
	for done := false; !done; {
		e, err := r.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if missed += e.Gap; e.Event != nil {
			got++
			done = e.Event.Subject == "last"
		}
		if got+missed == sent {
			from.come("last", nil) // a gap at the end is told with the next event
		}
	}
	if missed == 0 || got+missed != sent+1 {
		t.Errorf("%d events came and %d are said to be missing, of %d", got, missed, sent+1)
	}
	t.Logf("%d of %d events came, %d were left out", got, sent+1, missed)
}

// TestManySlowReadersTakeLittleMemory: they share what there is for them.
func TestManySlowReadersTakeLittleMemory(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var from events
	path := filepath.Join(t.TempDir(), "s")
	serveAll(t, path, &letters{}, &from, &outboxes{})
	before := heap()
	for range 12 {
		body, err := admin.Watch(t.Context(), path, "")
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
	}
	data := bytes.Repeat([]byte("x"), 100_000)
	for range 200 {
		from.come("flood", data)
	}
	if grown := heap() - before; grown > 24<<20 {
		t.Errorf("they took %d MiB", grown>>20)
	}
}

func TestAFilterThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	serveAll(t, path, &letters{}, &events{}, &outboxes{})
	if _, err := admin.Watch(context.Background(), path, "a/#/b"); err == nil {
		t.Error("a/#/b is taken as a filter")
	}
	if _, err := admin.Watch(context.Background(), path+"x", ""); !errors.Is(err, admin.ErrNoAgent) {
		t.Errorf("without an agent: %v", err)
	}
}
