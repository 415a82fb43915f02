package agent

import (
	"testing"
	"time"
)

func TestHistogramIsWithin13Percent(t *testing.T) {
	for _, us := range []int64{1, 7, 9, 100, 1234, 99_999, 10_000_000} {
		var h histogram
		h.add(time.Duration(us) * time.Microsecond)
		got := h.percentile(50)
		if got > us || float64(got) < float64(us)*0.87 {
			t.Errorf("percentile of %d us = %d us", us, got)
		}
	}
	var h histogram
	for range 99 {
		h.add(time.Microsecond)
	}
	h.add(time.Second)
	if p50, p99, p100 := h.percentile(50), h.percentile(99), h.percentile(100); p50 != 1 || p99 != 1 || p100 < 900_000 {
		t.Errorf("p50 = %d, p99 = %d, p100 = %d", p50, p99, p100)
	}
}
