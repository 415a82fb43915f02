package agent

// Latency counts how long events took from offer to durable outcome, in the
// buckets of histogram. Two of them tell of the time between.
type Latency [256]int64

// Latency counts since the start.
func (a *Agent) Latency() Latency { return a.counts.latency.counts() }

// Since is what came after was.
func (l Latency) Since(was *Latency) Latency {
	for i := range l {
		l[i] -= was[i]
	}
	return l
}

// Percentile returns the p-th percentile (0 to 100) in microseconds, 0 if
// nothing is counted.
func (l Latency) Percentile(p float64) int64 {
	counts := [256]int64(l)
	return percentile(&counts, p)
}
