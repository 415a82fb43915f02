package agent

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

func TestGateStateIsReadAsItWasWritten(t *testing.T) {
	for has := range byte(8) {
		g := gateState{has: has, at: 17}
		if has&hasValues != 0 {
			g.values = [16]byte{1, 2, 15: 3}
		}
		if has&hasNumber != 0 {
			g.number = -20.5
		}
		if has&hasLog != 0 {
			g.log = []through{{until: 1 << 60, n: 300}, {until: 5, n: 1}}
		}
		b := g.encode()
		if got := decodeGate(b); !reflect.DeepEqual(got, g) {
			t.Errorf("%+v was read as %+v", g, got)
		}
		for n := range b {
			decodeGate(b[:n]) // damaged: whatever it is, it does not panic
		}
	}
}

// TestRateNeverLetsTooManyThrough has events come at random, and looks back from
// each that passes.
func TestRateNeverLetsTooManyThrough(t *testing.T) {
	for _, count := range []int{1, 2, 64, 65, 1000} {
		rate, rng := Rate{Count: count, Per: time.Hour}, rand.New(rand.NewPCG(uint64(count), 0))
		var g gateState
		var passed []time.Time
		now := time.Unix(1_800_000_000, 0)
		for range 20 * count {
			now = now.Add(time.Duration(rng.Int64N(int64(time.Hour) / int64(count))))
			g.log = g.still(func(at time.Time) bool { return !at.After(now) })
			if seen(g.log) >= rate.Count {
				continue
			}
			g.enter(now.Add(rate.Per).UnixNano(), rate)
			passed = append(passed, now)
			if n := len(passed); n > count && passed[n-1-count].Add(rate.Per).After(now) {
				t.Fatalf("%d per hour: more than that passed in the hour before %s", count, now)
			}
			if len(g.log) > maxLog+1 {
				t.Fatalf("%d per hour: %d entries in the log", count, len(g.log))
			}
		}
		if least := 8 * count; len(passed) < least { // they take ten hours, on average
			t.Errorf("%d per hour: only %d passed, want %d", count, len(passed), least)
		}
	}
}
