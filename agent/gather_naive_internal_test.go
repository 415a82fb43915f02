package agent

import (
	"math"
	"slices"
	"strconv"
)

// reference says what a rule makes of the events of one key, one by one as they
// come. It holds all events and looks at all of them each time.
type reference struct {
	rule   Gather
	key    string
	counts map[string]int

	lead     int64 // MinInt64: no event yet
	started  bool
	windows  map[int64][]*playEvent // tumbling and sliding, by start
	sessions [][]*playEvent
	batch    []*playEvent
	out      []string
}

// take adds an event.
func (r *reference) take(e *playEvent) {
	t, watermark := e.at, e.at
	if r.rule.Time != "" {
		t, watermark = e.t, math.MinInt64
		if r.started {
			watermark = e.at + r.lead - int64(r.rule.Lateness)
		}
	}
	e.t = t
	took := false
	switch r.rule.Kind {
	case GatherTumbling:
		took = r.window(e, watermark, int64(r.rule.Size))
	case GatherSliding:
		took = r.window(e, watermark, int64(r.rule.Every))
	case GatherSession:
		took = r.session(e, watermark)
	case GatherBatch:
		r.addToBatch(e)
		return
	default:
		r.debounce(e)
		return
	}
	if !took {
		r.late(e)
		return
	}
	if !r.started || t-e.at > r.lead {
		r.lead = t - e.at
	}
	r.started = true
}

func (r *reference) late(e *playEvent) {
	r.counts["late"]++
	if !r.rule.LateRuns {
		return
	}
	r.counts["lateruns"]++
	start, end := e.t, e.t
	switch r.rule.Kind {
	case GatherTumbling:
		start = e.t - e.t%int64(r.rule.Size)
		end = start + int64(r.rule.Size)
	case GatherSliding:
		start = e.t - e.t%int64(r.rule.Every)
		end = start + int64(r.rule.Size)
	}
	r.tell(start, end, true, []*playEvent{e})
}

func (r *reference) tell(start, end int64, late bool, events []*playEvent) {
	var ns []int
	for _, e := range events {
		ns = append(ns, e.n)
	}
	slices.Sort(ns)
	r.out = append(r.out, window{gatherNames[r.rule.Kind], r.key, start, end, late, ns}.String())
}

// window puts e into each window that has not ended and that it lies in.
func (r *reference) window(e *playEvent, watermark, step int64) (took bool) {
	if r.windows == nil {
		r.windows = map[int64][]*playEvent{}
	}
	for start := e.t - e.t%step; start > e.t-int64(r.rule.Size); start -= step {
		if start+int64(r.rule.Size) > watermark {
			r.windows[start] = append(r.windows[start], e)
			took = true
		}
	}
	return took
}

func span(events []*playEvent) (first, last int64) {
	first, last = math.MaxInt64, math.MinInt64
	for _, e := range events {
		first, last = min(first, e.t), max(last, e.t)
	}
	return first, last
}

// over is the time by which a session has ended.
func (r *reference) over(session []*playEvent) int64 {
	first, last := span(session)
	if r.rule.Most > 0 {
		return min(last+int64(r.rule.Size), first+int64(r.rule.Most))
	}
	return last + int64(r.rule.Size)
}

// session joins e with the open sessions it touches, the oldest first, as long
// as what comes of it is not too long.
func (r *reference) session(e *playEvent, watermark int64) (took bool) {
	joined := []*playEvent{e}
	slices.SortFunc(r.sessions, func(a, b []*playEvent) int {
		x, _ := span(a)
		y, _ := span(b)
		return int(max(-1, min(1, x-y)))
	})
	var rest [][]*playEvent
	for _, s := range r.sessions {
		first, last := span(joined)
		from, to := span(s)
		near := first-to < int64(r.rule.Size) && from-last < int64(r.rule.Size)
		fits := r.rule.Most == 0 || max(to, last)-min(from, first) < int64(r.rule.Most)
		if r.over(s) > watermark && near && fits {
			joined = append(joined, s...)
		} else {
			rest = append(rest, s)
		}
	}
	if len(joined) == 1 && e.t+int64(r.rule.Size) <= watermark {
		return false
	}
	r.sessions = append(rest, joined)
	return true
}

func (r *reference) addToBatch(e *playEvent) {
	wait := int64(r.rule.Size)
	if len(r.batch) > 0 && r.batch[0].at+wait <= e.at {
		r.flush()
	}
	r.batch = append(r.batch, e)
	var bytes int64
	for _, e := range r.batch {
		bytes += int64(len(e.data))
	}
	if r.rule.Count > 0 && len(r.batch) >= r.rule.Count || r.rule.Bytes > 0 && bytes >= r.rule.Bytes {
		r.flush()
	}
}

func (r *reference) debounce(e *playEvent) {
	if len(r.batch) > 0 && r.over(r.batch) <= e.at {
		r.flush()
	}
	r.batch = append(r.batch, e)
}

func (r *reference) flush() {
	events := r.batch
	r.batch = nil
	if len(events) == 0 {
		return
	}
	if r.rule.Kind == GatherDebounce {
		r.out = append(r.out, "debounce "+r.key+" ["+strconv.Itoa(events[len(events)-1].n)+"]")
		return
	}
	first, last := span(events)
	r.tell(first, last, false, events)
}

// end gives what ran once all has ended.
func (r *reference) end() []string {
	r.flush()
	for start, events := range r.windows {
		r.tell(start, start+int64(r.rule.Size), false, events)
	}
	for _, s := range r.sessions {
		first, last := span(s)
		r.tell(first, last, false, s)
	}
	return r.out
}
