package agent

import "time"

// Durations counts durations, for programs that draw their distribution.
type Durations struct {
	Below [21]int64 // that were shorter than DurationBound(i)
	Count int64     // of all
	Sum   time.Duration
}

// DurationBound is 64 us, and twice as long for each i: to 67 s. So many lie between
// the buckets of histogram exactly.
func DurationBound(i int) time.Duration { return 64 * time.Microsecond << i }

func (h *histogram) durations() (d Durations) {
	d.Sum = time.Duration(h.sum.Load()) // first: the count is of at least these
	for b, n := range h.counts() {
		d.Count += n
		for i := len(d.Below) - 1; i >= 0 && bound(b) < DurationBound(i).Microseconds(); i-- {
			d.Below[i] += n
		}
	}
	return d
}
