package agent

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that grow by an eighth, so that a
// percentile is within 13 % of the truth, from 1 us to over an hour.
type histogram struct {
	buckets [256]atomic.Int64
	sum     atomic.Int64 // ns
}

func (h *histogram) add(d time.Duration) {
	h.buckets[bucket(d)].Add(1)
	h.sum.Add(int64(d))
}

// bucket numbers microseconds: 0 to 7 exactly, then eight per power of two.
func bucket(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 8 {
		return int(us)
	}
	exp := bits.Len64(us) - 4
	return min(255, exp*8+int(us>>exp))
}

// bound is the lower end of a bucket in microseconds.
func bound(b int) int64 {
	if b < 16 {
		return int64(b)
	}
	exp := b/8 - 1
	return int64(b%8+8) << exp
}

// counts is how much is in each bucket.
func (h *histogram) counts() (counts [256]int64) {
	for i := range h.buckets {
		counts[i] = h.buckets[i].Load()
	}
	return counts
}

// percentile returns the p-th percentile (0 to 100) in microseconds, 0 if empty.
func (h *histogram) percentile(p float64) int64 {
	counts := h.counts()
	return percentile(&counts, p)
}

// percentile is that of what is counted in buckets.
func percentile(counts *[256]int64, p float64) int64 {
	var total int64
	for _, n := range counts {
		total += n
	}
	want := max(1, int64(p/100*float64(total)+0.5))
	for i, n := range counts {
		if want -= n; want <= 0 && total > 0 {
			return bound(i)
		}
	}
	return 0
}
