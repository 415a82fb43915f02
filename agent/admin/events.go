package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// Events is what lets people look at the events that come.
type Events interface {
	// Tap calls f with each event until stop is called; see agent.Agent.
	Tap(f func(*agent.Event)) (stop func())
}

// What waits for readers that are slower than the events come; more than that is
// left out and counted. Who looks must not take the memory of what runs.
const (
	tapEvents = 4096    // for one
	tapBytes  = 4 << 20 // for one
	tapsBytes = 8 << 20 // for all
	tapEach   = 256     // bytes of an event beside its data
)

// serveEvents answers GET /v1/events?topic=FILTER with a recording that goes on
// until the client goes, or the agent ends. Where the client was too slow, a gap
// line says how many events are missing.
func serveEvents(mux *http.ServeMux, status func() agent.Status, events Events) {
	var all atomic.Int64
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		filter := r.FormValue("topic")
		if filter != "" && agent.CheckFilter(filter) != nil {
			http.Error(w, "topic is no topic filter", http.StatusBadRequest)
			return
		}
		t := newTap(filter, &all)
		defer t.end()
		defer events.Tap(t.take)()
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := http.NewResponseController(w)
		line, err := recording.AppendHeader(nil, headerOf(status(), t.start))
		if err == nil {
			err = errors.Join(writeLine(w, out, line), out.Flush())
		}
		for err == nil {
			err = t.pass(r.Context(), w, out)
		}
	})
}

func writeLine(w http.ResponseWriter, out *http.ResponseController, line []byte) error {
	if err := out.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
		return err
	}
	_, err := w.Write(line)
	return err
}

func headerOf(s agent.Status, start time.Time) recording.Header {
	h := recording.Header{Device: s.Device, Start: start}
	i := slices.IndexFunc(s.Sources, func(src agent.SourceStatus) bool { return src.Kind == "mqtt" || src.Kind == "broker" })
	if i >= 0 {
		h.Broker = s.Sources[i].Name
	}
	return h
}

// tap holds the events that wait for one reader.
type tap struct {
	filter string
	start  time.Time
	wake   chan struct{}
	all    *atomic.Int64 // bytes that wait for all readers
	line   []byte

	mu      sync.Mutex
	waiting []recording.Entry
	held    int   // bytes of what waits, or is written now
	gap     int64 // events left out since the last one that waits
	over    bool
}

func newTap(filter string, all *atomic.Int64) *tap {
	return &tap{filter: filter, start: time.Now().Round(0), wake: make(chan struct{}, 1), all: all}
}

// take is given each event and never waits.
func (t *tap) take(ev *agent.Event) {
	if t.filter != "" && !agent.MatchTopic(t.filter, ev.Subject) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || !t.hold(tapEach+len(ev.Data)) {
		t.gap++
		return
	}
	t.gapLine()
	t.waiting = append(t.waiting, recording.Entry{At: time.Since(t.start), Event: kept(ev)})
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// hold takes room for n more bytes, if there is some. One event always has it where
// nothing else waits. The lock is held.
func (t *tap) hold(n int) bool {
	all := int(t.all.Add(int64(n)))
	if len(t.waiting) < tapEvents && (t.held+n <= tapBytes || t.held == 0) && (all <= tapsBytes || all == n) {
		t.held += n
		return true
	}
	t.all.Add(-int64(n))
	return false
}

func (t *tap) free(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held -= n
	t.all.Add(-int64(n))
}

// end gives back what the reader did not come to read.
func (t *tap) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all.Add(-int64(t.held))
	t.held, t.over = 0, true
}

// kept is a copy of what may be shown of an event.
func kept(ev *agent.Event) *agent.Event {
	var data []byte
	if ev.Data != nil {
		data = append(make([]byte, 0, len(ev.Data)), ev.Data...)
	}
	return &agent.Event{
		ID: ev.ID, Source: ev.Source, Type: ev.Type, Subject: ev.Subject, Time: ev.Time,
		ContentType: ev.ContentType, Data: data, Via: ev.Via, QoS: ev.QoS, Retained: ev.Retained, Unsure: ev.Unsure, Trace: ev.Trace,
	}
}

// gapLine enters what was left out. The lock is held.
func (t *tap) gapLine() {
	if t.gap > 0 {
		t.waiting = append(t.waiting, recording.Entry{At: time.Since(t.start), Gap: t.gap})
		t.gap = 0
	}
}

// pass waits for events and writes them.
func (t *tap) pass(ctx context.Context, w http.ResponseWriter, out *http.ResponseController) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.wake:
	}
	t.mu.Lock()
	t.gapLine()
	entries := t.waiting
	t.waiting = nil
	t.mu.Unlock()
	for i := range entries {
		line, err := recording.AppendEntry(t.line[:0], &entries[i])
		if err == nil {
			err = writeLine(w, out, line)
		}
		if err != nil {
			return err
		}
		t.line = line
		if ev := entries[i].Event; ev != nil {
			entries[i].Event = nil // its data may go
			t.free(tapEach + len(ev.Data))
		}
	}
	return out.Flush()
}

// Watch asks the agent behind the socket at path for the events that come, of
// topics that filter names or ("") of all. The answer is a recording that goes on
// until it is closed, ctx ends, or the agent does.
func Watch(ctx context.Context, path, filter string) (io.ReadCloser, error) {
	return stream(ctx, path, "/v1/events?topic="+url.QueryEscape(filter))
}

// stream asks the agent behind the socket at path for an answer that goes on.
func stream(ctx context.Context, path, route string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://skerry"+route, nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, noAgent(path, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	said, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		said = ""
	}
	return nil, errors.Join(fmt.Errorf("the agent answered %s: %s", resp.Status, said), resp.Body.Close())
}

// EndsToo tells whether ctx ends within a quarter of a second: who ends an agent and what
// listens to it at once, as a shell does with Ctrl-C, has the signal on its way when the
// connection is gone.
func EndsToo(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	case <-time.After(250 * time.Millisecond):
		return false
	}
}
