package agent

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// counters are totals since start.
type counters struct {
	events, bytes, filtered, duplicates  atomic.Int64
	invocations, failures, dead, dropped atomic.Int64
	followups, publishes, deadEvicted    atomic.Int64
	latency                              histogram // from offer to durable outcome
}

// functionStats are one function's share.
type functionStats struct {
	invocations, failures, dead, dropped atomic.Int64
	conflicts, conditionErrors           atomic.Int64
	gated, late                          atomic.Int64
	fuel, memory, denied                 atomic.Int64
	latency                              histogram // of a run

	mu     sync.Mutex
	faults map[string]int64
	last   string
	// refused are the last calls of different kinds that were not granted.
	refused []string
}

// ran counts what a run cost.
func (s *functionStats) ran(u *Usage) {
	s.invocations.Add(1)
	s.fuel.Add(u.Fuel + u.Start)
	if u.Denied > 0 {
		s.deny(u)
	}
	for {
		most := s.memory.Load()
		if u.Memory <= most || s.memory.CompareAndSwap(most, u.Memory) {
			return
		}
	}
}

// deny counts what a run was refused, and keeps what it was.
func (s *functionStats) deny(u *Usage) {
	s.denied.Add(int64(u.Denied))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range u.Refused {
		if !slices.Contains(s.refused, text) {
			s.refused = append(s.refused, text)
		}
	}
	s.refused = s.refused[max(0, len(s.refused)-maxRefused):]
}

// fail counts a failed run by its kind.
func (s *functionStats) fail(err error) {
	s.failures.Add(1)
	kind := FaultError
	var fault *Fault
	if errors.As(err, &fault) {
		kind = fault.Kind
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = map[string]int64{}
	}
	s.faults[string(kind)]++
	s.last = err.Error()
}

// Status fills in what the agent itself knows.
func (a *Agent) Status(s *Status) {
	d := a.current.Load()
	s.Device = a.opts.Device
	s.Generation = d.Generation
	for _, app := range d.Apps {
		s.Apps = append(s.Apps, app.Name+"@"+app.Version)
	}
	c := &a.counts
	_, replaced := a.replacer.counts("")
	s.Events = Counts{
		Events: c.events.Load(), Bytes: c.bytes.Load(), Filtered: c.filtered.Load(),
		Duplicates: c.duplicates.Load(), Invocations: c.invocations.Load(), Failures: c.failures.Load(),
		Dead: c.dead.Load(), DeadEvicted: c.deadEvicted.Load(), Dropped: c.dropped.Load(), Followups: c.followups.Load(), Replaced: replaced,
		Publishes: c.publishes.Load(), P50us: c.latency.percentile(50), P99us: c.latency.percentile(99),
		Took: c.latency.durations(),
	}
	for i := range d.Functions {
		if fn := d.functions[d.Functions[i].Name]; fn != nil {
			s.Functions = append(s.Functions, fn.status())
		}
	}
}

func (fn *function) status() FunctionStatus {
	st := fn.stats
	s := FunctionStatus{
		Name: fn.Name, Digest: fn.Digest, Invocations: st.invocations.Load(), Failures: st.failures.Load(),
		Dead: st.dead.Load(), Dropped: st.dropped.Load(), Conflicts: st.conflicts.Load(),
		ConditionErrors: st.conditionErrors.Load(), Gated: st.gated.Load(), Late: st.late.Load(), Inbox: int(fn.inbox.events.Load()),
		P50us: st.latency.percentile(50), P99us: st.latency.percentile(99), Took: st.latency.durations(),
		Fuel: st.fuel.Load(), MemoryBytes: st.memory.Load(), Denied: st.denied.Load(), Workers: len(fn.workers),
	}
	s.AsideBytes = fn.inbox.aside.Load()
	s.StateBytes = fn.spaces[ownSpace].bytes.Load()
	s.Stateless = fn.stateless()
	s.Breaker, s.Opened = fn.breaker.status(fn.agent.now())
	s.Release = fn.release()
	st.mu.Lock()
	s.LastError, s.Refused = st.last, slices.Clone(st.refused)
	if len(st.faults) > 0 {
		s.Faults = map[string]int64{}
		for kind, n := range st.faults {
			s.Faults[kind] = n
		}
	}
	st.mu.Unlock()
	for _, w := range fn.workers {
		w.mu.Lock()
		for _, t := range w.queue[w.head:] {
			if t.seq == 0 { // the others are counted in the inbox
				s.Queued++
			}
		}
		s.Retrying += len(w.parked)
		w.mu.Unlock()
	}
	return s
}
