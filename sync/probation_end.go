package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// decide does in the turn what the gates say.
func (p *Puller) decide(ctx context.Context) {
	decided, _ := p.outcomes(p.opts.Health())
	for _, o := range decided {
		s, _ := p.now.standing(o.probe.app)
		if s.Trial == nil || s.Digest != o.probe.digest || s.Place != o.probe.place {
			continue
		}
		var err error
		switch {
		case o.verdict == passed:
			err = p.prove(ctx, s)
		case o.keep:
			err = p.complain(ctx, s, o.why)
		default:
			err = p.goBack(ctx, s, o.why)
			if errors.Is(err, errNothingBefore) {
				err = p.complain(ctx, s, o.why+"; "+oneLine(err))
			}
		}
		if err != nil && ctx.Err() == nil {
			p.stuck(o, oneLine(err))
		}
	}
}

// stuck notes that what a gate decided cannot be done now. It is told once. The next
// round looks at everything again: the cache may have lost what is to be gone back to.
func (p *Puller) stuck(o outcome, why string) {
	trouble := strings.TrimPrefix(o.why+"; "+why, "; ")
	p.fetched, p.current = nil, false
	p.mu.Lock()
	told := o.probe.trouble == trouble
	o.probe.again, o.probe.trouble = p.opts.Time().Add(backAgain), trouble
	p.mu.Unlock()
	if !told {
		p.opts.Log.Error("an app stays on probation; it is tried again each minute", "app", o.probe.app, "why", trouble)
	}
}

// prove ends a probation well: there is no going back from now on.
func (p *Puller) prove(ctx context.Context, s standing) error {
	s.Good = append([]agent.Digest{s.Digest}, slices.DeleteFunc(slices.Clone(s.Good), func(d agent.Digest) bool { return d == s.Digest })...)
	s.Good = s.Good[:min(maxGood, len(s.Good))]
	s.Since = p.opts.Time()
	err := p.endTrial(ctx, s)
	if err == nil {
		p.opts.Log.Info("an app passed its health gate", "app", s.App, "version", s.Version)
	}
	return err
}

// complain ends a probation badly, of what runs on all the same.
func (p *Puller) complain(ctx context.Context, s standing, why string) error {
	s.Failed, s.Since = why, p.opts.Time()
	err := p.endTrial(ctx, s)
	if err == nil {
		p.opts.Log.Error("an app failed its health gate, and runs on", "app", s.App, "version", s.Version, "why", why)
	}
	return err
}

// endTrial keeps what runs.
func (p *Puller) endTrial(ctx context.Context, s standing) error {
	moved, last := s.from() != s.Place, s.modules()
	if t := s.Trial; t.Last != nil {
		s.Before = p.before(t.Last, t.Document)
		if s.Before != nil && moved {
			s.Before.lose(fmt.Sprintf("its state (stateVersion %d) was let go when that of %s (stateVersion %d) had proved itself", t.Last.StateVersion, s.Version, s.StateVersion))
		}
	}
	s.Trial = nil
	next := *p.now
	next.stand(s)
	next.drop(last)
	next.Previous = p.now.before(next.Blobs, len(p.now.Previous))
	if moved {
		return p.switchTo(ctx, &next, s.App) // the agent may let the original of the state go
	}
	if err := next.write(p.cache); err != nil {
		return err
	}
	return p.replace(&next, p.runs)
}

// drop takes modules out that nothing needs but what they were kept for.
func (p *pinned) drop(modules []agent.Digest) {
	needed := map[agent.Digest]bool{}
	need := func(v agent.AppVersion, document []byte) {
		if c := parseCandidate(v, document, Checks{}); c.wrong == nil {
			for _, d := range c.app.modules() {
				needed[d] = true
			}
		}
	}
	for i, v := range p.Chosen {
		need(v, p.Apps[i])
	}
	for _, h := range p.Held {
		need(agent.AppVersion{Name: h.Want.Name, Version: h.Ran}, h.App)
	}
	for i := range p.Standings {
		for _, d := range p.Standings[i].modules() {
			needed[d] = true
		}
	}
	p.Blobs = slices.DeleteFunc(slices.Clone(p.Blobs), func(d agent.Digest) bool { return slices.Contains(modules, d) && !needed[d] })
}

// note keeps how far the probations are, for the case that the agent starts again.
func (p *Puller) note(health []agent.FunctionStatus) {
	now, next := p.opts.Time(), *p.now
	p.mu.Lock()
	for _, b := range p.probes {
		if s, _ := next.standing(b.app); s.Trial != nil {
			t := *s.Trial
			b.noted = b.elapsed(now)
			t.Elapsed, t.Tallies = b.noted, tallies(functionsOf(b.app, health), b.earlier)
			s.Trial = &t
			next.stand(s)
		}
	}
	p.mu.Unlock()
	if err := next.write(p.cache); err != nil {
		p.opts.Log.Warn("how far a probation is cannot be kept: after a restart it begins earlier", "err", err)
		return
	}
	p.now = &next
}
