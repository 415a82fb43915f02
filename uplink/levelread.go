package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// readPause is how long to wait after the queues could not be read.
const readPause = time.Second

// quiet is how long a read must have waited before the queues count as read to
// their end.
const quiet = 100 * time.Millisecond

// read looks for more in the queues that a level wants to be read, in their
// order, and waits until there is some.
type read struct {
	wants  []want // by queue
	since  time.Time
	cancel context.CancelFunc
	at     int // queue that recs come from
	recs   []agent.Record
	err    error
}

// want is from where on a queue is to be read, and how much; a limit of 0 is not
// at all.
type want struct {
	after        uint64
	limit, bytes int
}

func (r *read) run(ctx context.Context, q Queues) {
	var in []int
	for at, w := range r.wants {
		if w.limit > 0 {
			in = append(in, at)
		}
	}
	seen := uint64(0)
	for {
		for _, at := range in {
			w := r.wants[at]
			r.recs, r.err = q.Page(at, w.after, w.limit, w.bytes)
			if r.at = at; len(r.recs) > 0 || r.err != nil {
				return
			}
		}
		if seen, r.err = q.Wait(ctx, in, seen); r.err != nil {
			return
		}
	}
}

// covers tells that a level is being read.
func (r *read) covers(l *level) bool {
	w := r.wants[l.at]
	return w.limit > 0 && w.after == l.after
}

// startRead asks the queues for more, as far as there is room.
func (p *pump) startRead(ctx context.Context, now time.Time) {
	if p.readAt.After(now) {
		return
	}
	if p.read != nil {
		for _, l := range p.levels {
			if !l.full() && !p.read.covers(l) {
				p.read.cancel()
				return
			}
		}
		return
	}
	r, any := &read{wants: make([]want, len(p.levels)), since: now}, false
	for _, l := range p.levels {
		if n, bytes := l.room(); n > 0 {
			r.wants[l.at] = want{l.after, n, bytes}
			any = true
		}
	}
	if !any {
		return
	}
	ctx, r.cancel = context.WithCancel(ctx)
	p.read = r
	p.beside.Go(func() {
		r.run(ctx, p.o.queues)
		r.cancel()
		p.took(r)
	})
}

// took takes in what was read.
func (p *pump) took(r *read) {
	p.o.mu.Lock()
	defer p.o.mu.Unlock()
	defer p.kick()
	p.read = nil
	if r.err != nil {
		p.readFailed(r.err)
		return
	}
	p.readFails, p.o.note.readErr = 0, ""
	for _, l := range p.levels {
		if l.at == r.at && l.after == r.wants[r.at].after { // else it was rewound, and will be read again
			l.take(r.recs)
		}
	}
}

// readFailed takes in that a read ended without records; one that was called
// off is no failure.
func (p *pump) readFailed(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	if p.readFails++; p.readFails == 1 {
		p.o.opts.Log.Error("queues cannot be read", "error", err)
	}
	p.readAt = time.Now().Add(readPause)
	p.o.note.readErr = "what waits cannot be read: " + err.Error()
}
