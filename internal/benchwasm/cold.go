package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// cold measures how long the first event of a function takes after a restart:
// its code is on disk, its module is not in memory.
func cold(ctx context.Context, r *report, guests []guest, rounds int) error {
	r.begin("Cold start: load from the cache, instantiate, first event")
	for i := range guests {
		g := &guests[i]
		if err := coldGuest(ctx, r, g, rounds); err != nil {
			r.failed(g.name, err)
		}
	}
	return nil
}

func coldGuest(ctx context.Context, r *report, g *guest, rounds int) error {
	dir, err := os.MkdirTemp("", "benchwasm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var took []float64
	for i := range rounds + 1 {
		d, err := firstEvent(ctx, dir, g)
		if err != nil {
			return err
		}
		if i == 0 {
			defer r.add(g.name+": compiled for the first time", microseconds(d)/1e3, "ms")
			continue
		}
		took = append(took, microseconds(d)/1e3)
	}
	r.add(g.name, median(took), "ms")
	return nil
}

func firstEvent(ctx context.Context, dir string, g *guest) (time.Duration, error) {
	h, err := newHost(dir)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	m, event, err := h.load(ctx, g)
	if err != nil {
		return 0, errors.Join(err, h.rt.Close(ctx))
	}
	err = event()
	took := time.Since(begun)
	return took, errors.Join(err, m.Close(ctx), h.rt.Close(ctx))
}
