package logbook

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Window is how long lines of a run wait for more of them.
const Window = 10 * time.Second

// Options of a Book; the zero value works.
type Options struct {
	Ring  int        // bytes of the newest lines that are kept in memory; 0 means 1 MiB
	Level slog.Level // the least that is looked at; nothing below goes anywhere
}

// Book is the log of one process.
type Book struct {
	opts Options
	wake chan struct{} // to Run: a line waits for the end of its window

	mu   sync.Mutex
	fold fold
	ring ring
	taps []tap
}

// tap is given each line after folding, under the lock of the book: it must not
// wait, and must not log.
type tap interface{ take(l *Line) }

// New makes a book that passes lines on to next as well. Log to its Handler.
func New(opts Options) *Book {
	opts.Ring = cmp.Or(opts.Ring, 1<<20)
	return &Book{opts: opts, wake: make(chan struct{}, 1), fold: newFold(), ring: ring{limit: opts.Ring}}
}

// Handler takes lines of a slog.Logger; next, the process's own log, gets what is
// left after folding, at its own level.
func (b *Book) Handler(next slog.Handler) slog.Handler { return &handler{book: b, next: next} }

// Run shows the last line of each run when its window ends, until ctx does, and
// then those that still wait.
func (b *Book) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			b.Flush()
			return
		case <-b.wake:
		case <-timer.C:
		}
		b.mu.Lock()
		b.show(b.fold.due(time.Now()))
		next := b.fold.nextDue()
		b.mu.Unlock()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
	}
}

// Flush shows what waits for the end of its window.
func (b *Book) Flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.show(b.fold.all())
}

// handle takes a line in.
func (b *Book) handle(m mention) {
	b.mu.Lock()
	defer b.mu.Unlock()
	idle := b.fold.nextDue().IsZero()
	b.show(b.fold.add(m))
	if idle && !b.fold.nextDue().IsZero() {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// show gives lines to all who take them. The lock is held, so that they come in
// the same order everywhere; the process's own log was one at a time before.
func (b *Book) show(shown []shown) {
	for i := range shown {
		s := &shown[i]
		s.pass()
		line := s.line()
		b.ring.add(line)
		for _, t := range b.taps {
			t.take(&line)
		}
	}
}

// join makes t one of those who take lines; the lock is held.
func (b *Book) join(t tap) { b.taps = append(b.taps, t) }

// leave ends that.
func (b *Book) leave(t tap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taps = slices.DeleteFunc(b.taps, func(other tap) bool { return other == t })
}
