package main

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the time that this process has been computing. Unlike the time of day
// it does not count what others do on this machine.
func cpu() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		panic(err) // every Linux has this clock
	}
	return time.Duration(t.Nano())
}

// batch is how long one measurement of one peer takes in one round.
const batch = 50 * time.Millisecond

// rivals are the peers that do the same work, and what each took per event in
// each round, in us of computing.
type rivals struct {
	peers []peer
	sizes []int // events in a batch
	took  [][]float64
}

// newRivals finds out how many events each peer makes in a batch.
func newRivals(peers ...peer) (*rivals, error) {
	r := &rivals{peers: peers, took: make([][]float64, len(peers))}
	for _, p := range peers {
		n := 0
		for begun := cpu(); n%16 != 0 || cpu()-begun < batch; n++ {
			if err := p(); err != nil {
				return nil, err
			}
		}
		r.sizes = append(r.sizes, n)
	}
	return r, nil
}

// round lets each peer make a batch.
func (r *rivals) round() error {
	for i, p := range r.peers {
		begun := cpu()
		for range r.sizes[i] {
			if err := p(); err != nil {
				return err
			}
		}
		r.took[i] = append(r.took[i], microseconds(cpu()-begun)/float64(r.sizes[i]))
	}
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// warm measures an event in a warm instance, through the runtime, in wazero
// alone and natively.
func warm(ctx context.Context, r *report, guests []guest, rounds int) error {
	h, err := newTempHost()
	if err != nil {
		return err
	}
	defer h.remove()
	r.begin("An event that raises the alarm, in a warm instance (CPU time)")
	for i := range guests {
		if err := warmGuest(ctx, r, h, &guests[i], rounds); err != nil {
			r.failed(guests[i].name, err)
		}
	}
	return h.rt.Close(ctx)
}

func warmGuest(ctx context.Context, r *report, h *host, g *guest, rounds int) error {
	m, skerry, err := h.load(ctx, g)
	if err != nil {
		return err
	}
	b, plain, err := newBare(ctx, g, g.engine())
	if err != nil {
		return err
	}
	event := []byte(g.event)
	rivals, err := newRivals(skerry, plain, func() error { return g.native(event) })
	if err != nil {
		return err
	}
	for range rounds {
		if err := rivals.round(); err != nil {
			return err
		}
	}
	allocs, err := allocations(skerry)
	if err != nil {
		return err
	}
	r.most(g.name, median(rivals.took[0]), "us", g.mark)
	if g.noAllocs {
		r.most(g.name+": allocations", allocs, "", noneAtAll)
	} else {
		r.add(g.name+": allocations", allocs, "")
	}
	r.add(g.name+": wazero alone, not metered", median(rivals.took[1]), "us")
	r.add(g.name+": native Go", median(rivals.took[2]), "us")
	return errors.Join(m.Close(ctx), b.rt.Close(ctx))
}

// noneAtAll allows for what other goroutines allocate once in a while.
const noneAtAll = 0.005

// allocations counts what the process allocates per event.
func allocations(p peer) (float64, error) {
	const events = 2000
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range events {
		if err := p(); err != nil {
			return 0, err
		}
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / events, nil
}
