package agent

import (
	"testing"
	"time"
)

func TestLatencyBetweenTwoTimes(t *testing.T) {
	var h histogram
	for range 90 {
		h.add(5 * time.Microsecond)
	}
	before := Latency(h.counts())
	for range 10 {
		h.add(7 * time.Microsecond)
	}
	between := Latency(h.counts()).Since(&before)
	if p := between.Percentile(50); p != 7 {
		t.Errorf("half of what came since took %d us, want 7", p)
	}
	if p := before.Percentile(50); p != 5 {
		t.Errorf("half of all before took %d us, want 5", p)
	}
	if p := new(Latency).Percentile(99); p != 0 {
		t.Errorf("of nothing: %d", p)
	}
}
