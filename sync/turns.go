package fleetsync

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"
)

const (
	firstAgain = 5 * time.Second  // after a failed round; doubled up to the poll interval
	wakeAgain  = time.Minute      // between the beginnings of rounds that somebody asks for
	wakeJitter = 30 * time.Second // of those at most, if neither the fleet nor the caller says: a large fleet does
)

// Run does a round at once and then one per poll interval, sooner after a
// failed one, when an app that did not start is to be tried again, and after
// Wake. Meanwhile it calls Judge in time. It returns nil when ctx ends.
func (p *Puller) Run(ctx context.Context) error {
	var judging sync.WaitGroup
	judging.Go(func() { p.judging(ctx) })
	for ctx.Err() == nil {
		p.rest(ctx, p.Turn(ctx))
	}
	judging.Wait()
	p.ended()
	return nil
}

// Check does one round: fetch, verify, keep the modules, apply, pin, delete
// what is not needed. Its error is also logged (once per change of cause) and
// kept in Status; what ran before runs on. An app that is held back is no
// error of the round; Status tells it.
func (p *Puller) Check(ctx context.Context) error { return p.check(ctx, p.home) }

// CheckFrom is a Check that takes documents and modules from another place, such
// as a USB stick: what is good there is good here, and what is older is not. A
// round that is under way is ended, and what came of it is kept; Run begins it again soon.
func (p *Puller) CheckFrom(ctx context.Context, from *Registry) error {
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	if stop != nil {
		stop()
		defer p.Wake()
	}
	return p.check(ctx, from)
}

func (p *Puller) check(ctx context.Context, from *Registry) error {
	ctx, cancel := context.WithTimeout(ctx, roundWithin)
	defer cancel()
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	p.mu.Lock()
	p.begun, p.stop = p.opts.Time(), cancel
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.stop = nil
	}()
	if p.reg != from {
		p.reg, p.fetched = from, nil
	}
	err := p.round(ctx)
	for errors.Is(err, errSuperseded) {
		p.serve()
		err = p.round(ctx)
	}
	if adviceOn(err) != "" {
		p.tellVerified(false)
		err = p.reg.advise(err)
	}
	if ctx.Err() == nil || err == nil {
		p.report(err)
	}
	return err
}

func (p *Puller) take(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Puller) give() { <-p.turn }

// Turn is one turn of Run: a round, and how long it is to the next.
func (p *Puller) Turn(ctx context.Context) time.Duration {
	_ = p.Check(ctx) // it has logged its error, and kept it in Status
	return p.pause()
}

// Wake has Run look at the registry soon: after a random part of the jitter, lest
// all devices come at once, but once a minute at most and not before the registry
// allows it. It does not wait for that.
func (p *Puller) Wake() {
	select {
	case p.woken <- struct{}{}:
	default: // it was woken before
	}
}

// rest waits for the next turn.
func (p *Puller) rest(ctx context.Context, pause time.Duration) {
	until := p.opts.Time().Add(pause)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	woken := p.woken
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-woken:
			woken = nil // the round that comes is for all that ask
			if soon := p.soonest(); soon.Before(until) {
				timer.Reset(soon.Sub(p.opts.Time()))
			}
		}
	}
}

// soonest is when a round that somebody asks for may begin.
func (p *Puller) soonest() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	poll, _ := p.interval()
	jitter := cmp.Or(time.Duration(p.sync.Jitter), p.opts.Jitter, min(poll/10, wakeJitter))
	at := p.opts.Time().Add(rand.N(jitter + 1))
	for _, limit := range []time.Time{p.begun.Add(wakeAgain), p.busy} {
		if at.Before(limit) {
			at = limit.Add(rand.N(jitter + 1))
		}
	}
	return at
}

// interval is how often to look, and what is added to that at random at most.
func (p *Puller) interval() (poll, jitter time.Duration) {
	poll = cmp.Or(time.Duration(p.sync.PollInterval), p.opts.Poll)
	return poll, cmp.Or(time.Duration(p.sync.Jitter), p.opts.Jitter, poll/10)
}

// pause is how long to wait after a round. After failed ones it is drawn from all
// of a span that grows: devices that lost a registry together come back one by one.
func (p *Puller) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	poll, jitter := p.interval()
	pause := poll + rand.N(jitter+1)
	if p.failed > 0 {
		if again := firstAgain << min(p.failed-1, 16); again < poll {
			pause = again/2 + rand.N(again)
		}
	}
	now := p.opts.Time()
	if retry := p.status.RetryAt.Sub(now); retry > 0 { // else it waits for what failed, or is paused
		pause = min(pause, retry)
	}
	if busy := p.busy.Sub(now); busy > 0 {
		pause = max(pause, busy+rand.N(jitter+1))
	}
	return pause
}

var varying = regexp.MustCompile(`[0-9]+`)

// report keeps the outcome of a round, and logs it when the cause is new;
// numbers such as ports do not make it new.
func (p *Puller) report(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.good = err == nil; p.good {
		if p.cause != "" {
			p.opts.Log.Info("fleet sync works again", "registry", p.status.Registry)
		}
		p.cause, p.status.Error, p.failed = "", "", 0
		return
	}
	if p.failed++; adviceOn(err) != "" {
		p.failed = 0
	}
	var busy *busyError
	if errors.As(err, &busy) {
		p.busy = p.opts.Time().Add(busy.pause)
	}
	p.status.Error = oneLine(err)
	if cause := varying.ReplaceAllString(p.status.Error, "#"); cause != p.cause {
		p.cause = cause
		p.opts.Log.Warn("fleet sync failed, what runs keeps running", "registry", p.status.Registry, "err", p.status.Error)
	}
}
