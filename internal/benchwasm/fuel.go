package main

import (
	"context"
	"errors"
	"os"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// counting loops a thousand times for each byte of its event, and decides nothing.
var counting = guest{event: hot}

const countingModule = "wasm/testdata/work.wasm"

// fuel measures what rewriting costs: wazero alone runs the plain module and
// the rewritten one in turns.
func fuel(ctx context.Context, r *report, guests []guest, rounds int) error {
	var err error
	if counting.bin, err = os.ReadFile(countingModule); err != nil {
		return err
	}
	r.begin("Bounded by fuel, beside the plain module, both in wazero alone")
	ratio, err := rewritten(ctx, &counting, rounds)
	if err != nil {
		return err
	}
	r.most("a bare loop", ratio, "times", 2.5)
	for i := range guests {
		g := &guests[i]
		if g.overhead == 0 {
			continue
		}
		ratio, err := rewritten(ctx, g, rounds)
		if err != nil {
			r.failed(g.name, err)
			continue
		}
		r.most(g.name, 100*(ratio-1), "% more", g.overhead)
	}
	return nil
}

// rewritten is the time of the rewritten module by that of the plain one.
func rewritten(ctx context.Context, g *guest, rounds int) (float64, error) {
	res, err := instrument.Rewrite(g.bin, instrument.Options{})
	if err != nil {
		return 0, err
	}
	b1, plain, err := newBare(ctx, g, g.bin)
	if err != nil {
		return 0, err
	}
	b2, bounded, err := newBare(ctx, g, res.Module)
	if err != nil {
		return 0, err
	}
	rivals, err := newRivals(plain, bounded)
	if err != nil {
		return 0, err
	}
	var ratios []float64
	for i := range 2*rounds + 1 {
		if err := rivals.round(); err != nil {
			return 0, err
		}
		ratios = append(ratios, rivals.took[1][i]/rivals.took[0][i])
	}
	return median(ratios), errors.Join(b1.rt.Close(ctx), b2.rt.Close(ctx))
}
