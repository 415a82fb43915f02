package admin

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// What History keeps: an hour of samples, and an hour of minutes of each function.
// All of it takes less than 64 KiB.
const (
	sampleEach    = 10 * time.Second
	samplesKept   = 360
	minuteSamples = 6 // that make a minute
	minutesKept   = 60
	functionsKept = 32 // with minutes: those that run first
)

// Sample is what the agent did in the time since the sample before.
type Sample struct {
	Unix     int64 // seconds, by the device's clock
	Events   int64
	Runs     int64
	Failures int64
	P50us    int64 // of events that ended in this time; 0: none did
	P99us    int64
	Waiting  int64 // events and records on disk, at the end
	RSS      int64 // bytes, at the end
	BytesUp  int64 // to all targets
}

// minute is what one function did in a minute.
type minute struct{ runs, failures, waiting, memory int32 } // memory in KiB

// History is the last hour in figures, kept in memory.
type History struct {
	status  func() agent.Status
	latency func() agent.Latency

	mu        sync.Mutex
	samples   []Sample
	functions map[string]*minutes

	// What Run knows of the sample before.
	last    agent.Status
	lastLat agent.Latency
	count   int
}

// minutes is the ring of one function.
type minutes struct {
	list           []minute
	runs, failures int64 // since the start, when the last minute ended
}

// NewHistory makes one that asks status and latency while it runs.
func NewHistory(status func() agent.Status, latency func() agent.Latency) *History {
	return &History{status: status, latency: latency, functions: map[string]*minutes{}}
}

// Run takes a sample each 10 s until ctx ends.
func (h *History) Run(ctx context.Context) error {
	h.last, h.lastLat = h.status(), h.latency()
	h.minute(&h.last)
	tick := time.NewTicker(sampleEach)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			h.sample(now)
		}
	}
}

// sample adds what happened since the sample before.
func (h *History) sample(now time.Time) {
	s, lat := h.status(), h.latency()
	between := lat.Since(&h.lastLat)
	next := Sample{
		Unix:     now.Unix(),
		Events:   s.Events.Events - h.last.Events.Events,
		Runs:     s.Events.Invocations - h.last.Events.Invocations,
		Failures: s.Events.Failures - h.last.Events.Failures,
		P50us:    between.Percentile(50),
		P99us:    between.Percentile(99),
		Waiting:  int64(s.Store.Records),
		RSS:      s.RSSBytes,
		BytesUp:  max(0, bytesUp(&s)-bytesUp(&h.last)),
	}
	h.last, h.lastLat = s, lat
	h.mu.Lock()
	h.samples = pushed(h.samples, next, samplesKept)
	h.mu.Unlock()
	if h.count++; h.count%minuteSamples == 0 {
		h.minute(&s)
	}
}

func bytesUp(s *agent.Status) (n int64) {
	for i := range s.Targets {
		n += s.Targets[i].BytesUp
	}
	return n
}

// minute ends the minute of each function. One that is new begins with it; what
// is not deployed any more is forgotten.
func (h *History) minute(s *agent.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	runs := map[string]bool{}
	for i := range s.Functions {
		runs[s.Functions[i].Name] = true
	}
	for name := range h.functions {
		if !runs[name] {
			delete(h.functions, name)
		}
	}
	for i := range s.Functions {
		f := &s.Functions[i]
		m := h.functions[f.Name]
		switch {
		case m == nil && len(h.functions) < functionsKept:
			h.functions[f.Name] = &minutes{runs: f.Invocations, failures: f.Failures}
		case m != nil:
			m.list = pushed(m.list, minute{
				runs: int32(max(0, f.Invocations-m.runs)), failures: int32(max(0, f.Failures-m.failures)),
				waiting: int32(f.Queued + f.Inbox), memory: int32(f.MemoryBytes >> 10),
			}, minutesKept)
			m.runs, m.failures = f.Invocations, f.Failures
		}
	}
}

// pushed appends v to a list of at most kept, whose oldest goes.
func pushed[T any](list []T, v T, kept int) []T {
	if len(list) < kept {
		return append(list, v)
	}
	copy(list, list[1:])
	list[kept-1] = v
	return list
}

// historyAnswer is columns of the same length, the oldest first.
type historyAnswer struct {
	Every     int64                     `json:"every_s"`
	Unix      []int64                   `json:"unix"`
	Events    []int64                   `json:"events"`
	Runs      []int64                   `json:"runs"`
	Failures  []int64                   `json:"failures"`
	P50us     []int64                   `json:"p50_us"`
	P99us     []int64                   `json:"p99_us"`
	Waiting   []int64                   `json:"waiting"`
	RSS       []int64                   `json:"rss_bytes"`
	BytesUp   []int64                   `json:"bytes_up"`
	Functions map[string]functionAnswer `json:"functions"` // a minute each, the last one ended less than a minute ago
}

type functionAnswer struct {
	Runs     []int32 `json:"runs"`
	Failures []int32 `json:"failures"`
	Waiting  []int32 `json:"waiting"`
	Memory   []int32 `json:"memory_kib"`
}

func (h *History) answer() historyAnswer {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := historyAnswer{Every: int64(sampleEach / time.Second), Functions: map[string]functionAnswer{}}
	for _, c := range []struct {
		to *[]int64
		of func(*Sample) int64
	}{
		{&out.Unix, func(s *Sample) int64 { return s.Unix }},
		{&out.Events, func(s *Sample) int64 { return s.Events }},
		{&out.Runs, func(s *Sample) int64 { return s.Runs }},
		{&out.Failures, func(s *Sample) int64 { return s.Failures }},
		{&out.P50us, func(s *Sample) int64 { return s.P50us }},
		{&out.P99us, func(s *Sample) int64 { return s.P99us }},
		{&out.Waiting, func(s *Sample) int64 { return s.Waiting }},
		{&out.RSS, func(s *Sample) int64 { return s.RSS }},
		{&out.BytesUp, func(s *Sample) int64 { return s.BytesUp }},
	} {
		*c.to = column(h.samples, c.of)
	}
	for name, m := range h.functions {
		out.Functions[name] = functionAnswer{
			Runs:     column(m.list, func(m *minute) int32 { return m.runs }),
			Failures: column(m.list, func(m *minute) int32 { return m.failures }),
			Waiting:  column(m.list, func(m *minute) int32 { return m.waiting }),
			Memory:   column(m.list, func(m *minute) int32 { return m.memory }),
		}
	}
	return out
}

func column[S, T any](list []S, of func(*S) T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = of(&list[i])
	}
	return out
}

// WithHistory has h answer GET /v1/history too: the last hour in columns.
func WithHistory(h http.Handler, history *History) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", h)
	mux.HandleFunc("GET /v1/history", func(w http.ResponseWriter, _ *http.Request) { answer(w, history.answer()) })
	return mux
}
