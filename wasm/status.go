package wasm

// Warm counts, by the name of their function, the instances that are there for
// the next event, or run one now. Functions that have none are left out:
// their next event starts one.
func (r *Runtime) Warm() map[string]int {
	warm := map[string]int{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.live {
		if m.warm.Load() {
			warm[m.fn.Name]++
		}
	}
	return warm
}

// Started tells what the instance of the module took to start: fuel, and bytes of
// memory. Both are 0 where each event has an instance of its own, or the first
// event starts it.
func (m *module) Started() (fuel, memory int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.in == nil {
		return 0, 0
	}
	return m.in.started, int64(m.in.pages) * pageBytes
}
