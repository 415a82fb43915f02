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
