package agent

import (
	"testing"
	"time"
)

func TestDurationsCountWhatIsShorter(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, 63 * time.Microsecond, 64 * time.Microsecond, time.Millisecond, time.Minute, time.Hour} {
		h.add(d)
	}
	got := h.durations()
	for i, want := range map[int]int64{0: 2, 1: 3, 3: 3, 4: 4, 19: 4, 20: 5} {
		if got.Below[i] != want {
			t.Errorf("%d are below %s, want %d", got.Below[i], DurationBound(i), want)
		}
	}
	if got.Count != 6 || got.Sum != time.Hour+time.Minute+time.Millisecond+127*time.Microsecond {
		t.Errorf("%d in all, %s", got.Count, got.Sum)
	}
}

func TestBoundsOfDurationsAreBoundsOfBuckets(t *testing.T) {
	for i := range (Durations{}).Below {
		us := DurationBound(i).Microseconds()
		if b := bucket(DurationBound(i)); bound(b) != us {
			t.Errorf("%d us lie within the bucket that begins at %d us", us, bound(b))
		}
	}
}
