package fleetsync

import (
	"context"
	"errors"
	"time"
)

// errSuperseded reports that the registry has something newer than what was being
// fetched: what came of it is kept, and may be a part of that too.
var errSuperseded = errors.New("something newer was published meanwhile")

// watch gives a context for bringing next, which ends with errSuperseded once the
// registry has another manifest. It looks when it is woken and once a poll interval.
func (p *Puller) watch(ctx context.Context, next *pinned) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	p.interrupt = cancel
	if p.urgent > 0 {
		cancel(errInterrupted)
	}
	poll, _ := p.interval()
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for !p.superseded(watched, next, poll) {
			if watched.Err() != nil {
				return
			}
		}
		cancel(errSuperseded)
	}()
	return watched, func() {
		p.mu.Lock()
		p.interrupt = nil
		p.mu.Unlock()
		cancel(nil)
		<-done
	}
}

// superseded waits as Run does between two rounds, and looks.
func (p *Puller) superseded(ctx context.Context, next *pinned, poll time.Duration) bool {
	if p.rest(ctx, poll); ctx.Err() != nil {
		return false
	}
	m, err := p.reg.store.manifest(ctx, next.ETag)
	return err == nil && m.digest != next.Manifest
}
