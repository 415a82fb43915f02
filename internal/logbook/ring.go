package logbook

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// ring holds the newest lines.
type ring struct {
	limit, bytes int
	lines        []Line // oldest first
	sizes        []int
}

func (r *ring) add(l Line) {
	size := l.size()
	r.lines, r.sizes = append(r.lines, l), append(r.sizes, size)
	for r.bytes += size; r.bytes > r.limit && len(r.lines) > 1; {
		r.bytes -= r.sizes[0]
		r.lines[0] = Line{} // or its texts would stay until the slice moves
		r.lines, r.sizes = r.lines[1:], r.sizes[1:]
	}
}

// Filter says which lines a reader wants; the zero value wants all.
type Filter struct {
	Function string     // "app/function", or "app" for all of its functions; "" for all, and the agent's own
	Level    slog.Level // the least
	Since    time.Time
}

func (f *Filter) wants(l *Line) bool {
	if l.Level < f.Level || l.Time.Before(f.Since) {
		return false
	}
	if f.Function == "" || l.Function == f.Function {
		return true
	}
	app, _, _ := strings.Cut(l.Function, "/")
	return app == f.Function
}

// What waits for a reader that is slower than the lines come; more is left out
// there and counted.
const (
	readerLines = 4096
	readerBytes = 1 << 20
)

// Reader gets the lines that a Filter wants: what the ring holds, then what
// comes. It must be closed.
type Reader struct {
	book   *Book
	filter Filter
	wake   chan struct{}

	mu      sync.Mutex
	waiting []Line
	bytes   int
	missing int
}

// Read begins with what the ring holds. A reader that does not follow is at its
// end after that.
func (b *Book) Read(f Filter, follow bool) *Reader {
	r := &Reader{book: b, filter: f, wake: make(chan struct{}, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.ring.lines { // the ring is bounded, so this is
		if l := &b.ring.lines[i]; f.wants(l) {
			r.waiting = append(r.waiting, *l)
		}
	}
	if follow {
		b.join(r)
	}
	r.wake <- struct{}{}
	return r
}

// Close ends what Read began.
func (r *Reader) Close() { r.book.leave(r) }

// Next waits for lines. Missing of them came too fast and were left out, before
// those it returns. The first call returns at once.
func (r *Reader) Next(ctx context.Context) (lines []Line, missing int, err error) {
	select {
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	case <-r.wake:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	lines, missing = r.waiting, r.missing
	r.waiting, r.bytes, r.missing = nil, 0, 0
	return lines, missing, nil
}

func (r *Reader) take(l *Line) {
	if !r.filter.wants(l) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if size := l.size(); len(r.waiting) >= readerLines || r.bytes+size > readerBytes {
		r.missing++
	} else {
		r.waiting = append(r.waiting, *l)
		r.bytes += size
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
