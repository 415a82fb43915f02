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
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// Events is what lets people look at the events that come.
type Events interface {
	// Tap calls f with each event until stop is called; see agent.Agent.
	Tap(f func(*agent.Event)) (stop func())
}

// What waits for a reader that is slower than the events come; more than that is
// left out and counted.
const (
	tapEvents = 4096
	tapBytes  = 8 << 20
)

// serveEvents answers GET /v1/events?topic=FILTER with a recording that goes on
// until the client goes, or the agent ends. Where the client was too slow, a gap
// line says how many events are missing.
func serveEvents(mux *http.ServeMux, status func() agent.Status, events Events) {
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		filter := r.FormValue("topic")
		if filter != "" && agent.CheckFilter(filter) != nil {
			http.Error(w, "topic is no topic filter", http.StatusBadRequest)
			return
		}
		t := newTap(filter)
		defer events.Tap(t.take)()
		w.Header().Set("Content-Type", "application/x-ndjson")
		out := http.NewResponseController(w)
		line, err := recording.AppendHeader(nil, headerOf(status(), t.start))
		for err == nil {
			if err = out.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				return
			}
			if _, err = w.Write(line); err == nil {
				err = out.Flush()
			}
			if err == nil {
				line, err = t.lines(r.Context(), line[:0])
			}
		}
	})
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

	mu      sync.Mutex
	waiting []recording.Entry
	bytes   int
	gap     int64 // events left out since the last one that waits
}

func newTap(filter string) *tap {
	return &tap{filter: filter, start: time.Now().Round(0), wake: make(chan struct{}, 1)}
}

// take is given each event and never waits.
func (t *tap) take(ev *agent.Event) {
	if t.filter != "" && !agent.MatchTopic(t.filter, ev.Subject) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) >= tapEvents || t.bytes+len(ev.Data) > tapBytes && len(t.waiting) > 0 {
		t.gap++
		return
	}
	t.gapLine()
	t.waiting = append(t.waiting, recording.Entry{At: time.Since(t.start), Event: kept(ev)})
	t.bytes += len(ev.Data)
	select {
	case t.wake <- struct{}{}:
	default:
	}
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

// lines waits for events and appends them to b.
func (t *tap) lines(ctx context.Context, b []byte) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-t.wake:
	}
	t.mu.Lock()
	t.gapLine()
	entries := t.waiting
	t.waiting, t.bytes = nil, 0
	t.mu.Unlock()
	var err error
	for i := range entries {
		if b, err = recording.AppendEntry(b, &entries[i]); err != nil {
			return nil, err
		}
	}
	return b, nil
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
