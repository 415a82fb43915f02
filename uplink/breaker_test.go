package uplink

import (
	"testing"
	"testing/synctest"
	"time"
)

// In package uplink: the pauses are rules of their own. Jitter is full, the
// ceiling doubles from 1 s and ends at the limit, and nothing is a busy loop.
func TestBackoffIsFullJitterUnderACeiling(t *testing.T) {
	for n, ceiling := range map[int]time.Duration{
		1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 10: 5 * time.Minute, 1 << 20: 5 * time.Minute,
	} {
		low, high := time.Hour, time.Duration(0)
		for range 2000 {
			d := backoff(n, 5*time.Minute)
			low, high = min(low, d), max(high, d)
		}
		if low < minBackoff/10 || low > ceiling/4 || high >= ceiling || high < ceiling*3/4 {
			t.Errorf("failure %d: between %v and %v, ceiling %v", n, low, high, ceiling)
		}
	}
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker{ceiling: time.Minute}
		for i := range 8 { // eight jobs of one moment are one failure
			if first := b.failed(time.Now(), 0, false, "x"); first != (i == 0) {
				t.Errorf("job %d: first %v", i, first)
			}
		}
		if b.fails != 1 || time.Until(b.ready()) > time.Second || !b.probing() {
			t.Errorf("after one failure: %+v", b)
		}
		b.pause(time.Now(), 20*time.Second, "y")
		if !b.succeeded() || b.probing() || time.Until(b.ready()) != 20*time.Second {
			t.Errorf("a success must not shorten the pause that was asked for: %+v", b)
		}
		b.failed(time.Now(), b.epoch, true, "z")
		if d := time.Until(b.until); d < 30*time.Second || d > time.Minute {
			t.Errorf("held for %v", d)
		}
	})
}
