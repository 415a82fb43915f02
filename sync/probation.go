package fleetsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// probe is an app that is on probation and runs, since when this run of the agent
// looks after it.
type probe struct {
	app     string
	digest  agent.Digest
	place   string
	gate    gate
	begun   time.Time        // by Time
	before  time.Duration    // of the window, in earlier runs of the agent
	earlier map[string]tally // of those
	noted   time.Duration    // of the window, as it was kept last
	doubted time.Time        // since when there are doubts; zero: there are none
	trouble string           // why what the gate said cannot be done
	again   time.Time        // then: not before
}

// errInterrupted ends what a round fetches, so that something else has its turn.
var errInterrupted = fmt.Errorf("an app is decided on meanwhile: %w", errSuperseded)

func (b *probe) elapsed(now time.Time) time.Duration { return b.before + now.Sub(b.begun) }

// Looks at a gate in its window, and notes of how far it is.
const (
	looks       = 60
	longestLook = 10 * time.Second
	notes       = 10
	backAgain   = time.Minute // between tries to go back
)

func (b *probe) pause(now time.Time) time.Duration {
	left := b.gate.window - b.elapsed(now)
	return max(min(b.gate.window/looks, longestLook, left), 10*time.Millisecond)
}

// probing has the gates looked at of what runs and is on probation. It is called in
// the turn, when now or runs changed.
func (p *Puller) probing() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.probes
	p.probes = nil
	for i := range p.now.Standings {
		s := &p.now.Standings[i]
		if s.Trial == nil || p.opts.Health == nil || p.runs == nil || !slices.Contains(p.runs.Chosen, agent.AppVersion{Name: s.App, Version: s.Version}) {
			continue
		}
		at := slices.IndexFunc(old, func(b *probe) bool { return b.app == s.App && b.digest == s.Digest && b.place == s.Place })
		b := &probe{
			app: s.App, digest: s.Digest, place: s.Place, begun: p.opts.Time(), before: s.Trial.Elapsed, noted: s.Trial.Elapsed,
			earlier: maps.Clone(s.Trial.Tallies),
		}
		if at >= 0 {
			b = old[at]
		}
		b.gate = s.Trial.Health.gate()
		b.gate.keep = b.gate.keep || s.Trial.Last == nil
		p.probes = append(p.probes, b)
	}
	select {
	case p.probed <- struct{}{}:
	default:
	}
}

// Judge looks at the gates of the apps that are on probation: those that failed go
// back to what ran before, those whose time is over are good from now on. It tells
// when to look again; 0 if nothing is on probation. Run calls it; who uses Turn must.
func (p *Puller) Judge(ctx context.Context) time.Duration {
	if p.nextLook() == 0 {
		return 0
	}
	health := p.opts.Health()
	switch decided, note := p.outcomes(health); {
	case len(decided) > 0:
		p.hurry(ctx, func() { p.decide(ctx) })
	case note:
		select {
		case p.turn <- struct{}{}:
			p.note(health)
			p.give()
		default: // at the next look
		}
	}
	return p.nextLook()
}

// outcome is what a gate decided.
type outcome struct {
	probe *probe
	verdict
	why  string
	keep bool
}

// outcomes are of the gates that have decided. Note asks to keep how far the others are.
func (p *Puller) outcomes(health []agent.FunctionStatus) (decided []outcome, note bool) {
	now := p.opts.Time()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.probes {
		v, why := b.judge(health, now)
		if (v == passed || v == failed) && !now.Before(b.again) {
			decided = append(decided, outcome{b, v, why, b.gate.keep})
		}
		note = note || b.noted < b.gate.window && b.elapsed(now)-b.noted >= b.gate.window/notes
	}
	return decided, note
}

// nextLook is when to call Judge again; 0 if nothing is on probation.
func (p *Puller) nextLook() (next time.Duration) {
	now := p.opts.Time()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.probes {
		pause := b.pause(now)
		if wait := b.again.Sub(now); wait > 0 {
			pause = wait
		}
		if next == 0 || pause < next {
			next = pause
		}
	}
	return next
}

// judging calls Judge in time until ctx ends.
func (p *Puller) judging(ctx context.Context) {
	for ctx.Err() == nil {
		next := p.Judge(ctx)
		if next == 0 {
			next = time.Hour
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.probed:
		}
		timer.Stop()
	}
}

// judge makes doubts that last a failure.
func (b *probe) judge(health []agent.FunctionStatus, now time.Time) (verdict, string) {
	v, why := b.gate.judge(functionsOf(b.app, health), b.earlier, b.elapsed(now))
	switch {
	case v != doubtful:
		b.doubted = time.Time{}
	case b.doubted.IsZero():
		b.doubted = now
	case now.Sub(b.doubted) >= b.gate.patience():
		return failed, why
	}
	return v, why
}

func functionsOf(app string, health []agent.FunctionStatus) []agent.FunctionStatus {
	var out []agent.FunctionStatus
	for i := range health {
		if strings.HasPrefix(health[i].Name, app+"/") {
			out = append(out, health[i])
		}
	}
	return out
}

// hurry has f done in the turn. A round that is fetching something ends that, and
// does f; it begins again then.
func (p *Puller) hurry(ctx context.Context, f func()) {
	p.mu.Lock()
	p.urgent++
	if p.interrupt != nil {
		p.interrupt(errInterrupted)
	}
	p.mu.Unlock()
	done := make(chan struct{})
	select {
	case p.turn <- struct{}{}:
		f()
		p.give()
	case p.favours <- func() { f(); close(done) }:
		<-done
	case <-ctx.Done():
	}
	p.mu.Lock()
	p.urgent--
	p.mu.Unlock()
}

// serve does, in the turn, what others wait for.
func (p *Puller) serve() {
	for {
		select {
		case f := <-p.favours:
			f()
		default:
			return
		}
	}
}
