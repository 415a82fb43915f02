package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// workers measures how much more two workers of a function do than one.
func workers(ctx context.Context, r *report, guests []guest, rounds int) error {
	h, err := newTempHost()
	if err != nil {
		return err
	}
	defer h.remove()
	var peers []peer
	for range 2 {
		_, p, err := h.load(ctx, &guests[0])
		if err != nil {
			return errors.Join(err, h.rt.Close(ctx))
		}
		peers = append(peers, p)
	}
	var one, ratio []float64
	for range rounds {
		a, b := together(peers[:1]), together(peers)
		one, ratio = append(one, a), append(ratio, b/a)
	}
	r.begin("Workers")
	r.add(guests[0].name+": one worker", median(one), "events/s")
	if runtime.NumCPU() > 1 {
		r.least(guests[0].name+": two workers", median(ratio), "times one", 1.8)
	}
	return h.rt.Close(ctx)
}

// together lets peers work side by side for half a second and returns the
// events per second of all.
func together(peers []peer) float64 {
	const length = 500 * time.Millisecond
	begun := time.Now()
	counts := make([]int, len(peers))
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			n := 0
			for ; n%64 != 0 || time.Since(begun) < length; n++ {
				if p() != nil {
					return // counts as nothing: the ratio shows it
				}
			}
			counts[i] = n
		})
	}
	wg.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(begun).Seconds()
}
