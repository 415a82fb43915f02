package fleetsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

var errNothingBefore = errors.New("there is no version to go back to")

// back is what is kept, with an app as it was before its probation. Lacks is why.
func (p *Puller) back(s standing, lacks error) (*pinned, error) {
	t := s.Trial
	i := slices.IndexFunc(p.now.Chosen, func(v agent.AppVersion) bool { return v.Name == s.App })
	if t == nil || t.Last == nil || i < 0 {
		return nil, errNothingBefore
	}
	last := agent.AppVersion{Name: s.App, Version: t.Last.Version}
	before := parseCandidate(last, t.Document, p.opts.Checks)
	if before.wrong == nil {
		before.wrong = p.fits(before.app)
	}
	if before.wrong != nil {
		return nil, fmt.Errorf("%w: %s@%s: %w", errNothingBefore, last.Name, last.Version, before.wrong)
	}
	next := *p.now
	next.Chosen, next.Apps = slices.Clone(next.Chosen), slices.Clone(next.Apps)
	left, document := next.Chosen[i], next.Apps[i]
	next.Chosen[i], next.Apps[i] = last, t.Document
	was := t.Last.since(p.opts.Time())
	was.Refused = s.Refused
	held := heldBack{Want: left}
	held.because(lacks, runsOn(last))
	if refused := (*refusedError)(nil); errors.As(lacks, &refused) {
		r := refusal{Version: left.Version, Digest: s.Digest, Why: refused.why, At: was.Since, ByHand: refused.byHand}
		was.Refused = append([]refusal{r}, s.Refused...)[:min(maxRefused, len(s.Refused)+1)]
	}
	next.stand(was)
	next.Held = append(slices.DeleteFunc(slices.Clone(next.Held), func(h heldBack) bool { return h.Want.Name == s.App }), held)
	if c := parseCandidate(left, document, Checks{}); c.wrong == nil && !held.Unstarted {
		next.drop(c.app.modules())
	}
	return &next, nil
}

// goBack returns an app that failed its gate to what ran before, in one Apply and
// without the registry.
func (p *Puller) goBack(ctx context.Context, s standing, why string) error {
	next, err := p.back(s, &refusedError{app: s.App, why: why, at: p.opts.Time()})
	if err != nil {
		return err
	}
	if err := p.switchTo(ctx, next, s.App); err != nil {
		return fmt.Errorf("return to %s@%s: %w", s.App, s.Trial.Last.Version, err)
	}
	p.opts.Log.Error("an app failed its health gate, and the version before it runs again",
		"app", s.App, "failed", s.Version, "runs", s.Trial.Last.Version, "why", why,
		"next", "publish another version, or run skerry sync --retry "+s.App)
	return nil
}

// retreat goes back, in what is kept, from versions on probation that did not start,
// or were revoked. It tells whether there were any.
func (p *Puller) retreat(lacks func(agent.AppVersion) error) bool {
	moved := false
	for _, s := range p.now.Standings {
		why := lacks(agent.AppVersion{Name: s.App, Version: s.Version})
		if why == nil || s.Trial == nil {
			continue
		}
		next, err := p.back(s, why)
		if err != nil {
			continue // it is held back like any other
		}
		p.opts.Log.Error("an app cannot stay, and the version before it runs again",
			"app", s.App, "failed", s.Version, "runs", s.Trial.Last.Version, "why", oneLine(why))
		p.now, moved = next, true
	}
	if moved {
		p.keepNow()
	}
	return moved
}

// keepNow keeps what p.now was made to be. If that fails, the next start comes to the
// same again.
func (p *Puller) keepNow() {
	if err := p.now.write(p.cache); err != nil {
		p.opts.Log.Warn("what was decided about an app cannot be kept: it is decided again after a restart", "err", err)
	}
}

// lack is what speaks against versions that did not start: those that would not start
// at any time are refused.
func (r refusals) lack(v agent.AppVersion) error {
	why := r[v]
	switch {
	case why == nil:
		return nil
	case why.again:
		return why
	}
	return &refusedError{app: v.Name, why: why.text}
}

// restarted notes that the agent has started while apps are on probation. One with which it
// ended in disorder too often goes back.
func (p *Puller) restarted() {
	lacks := map[agent.AppVersion]error{}
	now := *p.now
	for _, s := range p.now.Standings {
		if s.Trial == nil {
			continue
		}
		t := *s.Trial
		g := t.Health.gate()
		if t.Runs++; t.Runs > maxUnclean && !g.keep {
			lacks[agent.AppVersion{Name: s.App, Version: s.Version}] = &refusedError{app: s.App, why: fmt.Sprintf("the agent ended %d times in disorder while it ran", t.Runs-1), at: p.opts.Time()}
		}
		s.Trial = &t
		now.stand(s)
	}
	p.now = &now
	if !p.retreat(func(v agent.AppVersion) error { return lacks[v] }) {
		p.keepNow()
	}
}

// ended notes that the agent ends in order.
func (p *Puller) ended() {
	p.turn <- struct{}{}
	defer p.give()
	if p.now == nil || p.runs == nil || p.opts.Health == nil {
		return
	}
	now := *p.now
	for _, s := range p.now.Standings {
		if s.Trial != nil && s.Trial.Runs > 0 {
			t := *s.Trial
			t.Runs--
			s.Trial = &t
			now.stand(s)
		}
	}
	p.now = &now
	p.note(p.opts.Health())
}

// switchTo applies and keeps another choice of what is kept here, for the sake of app.
// What else cannot run now is left out, as at a start.
func (p *Puller) switchTo(ctx context.Context, next *pinned, app string) error {
	kept, err := next.candidates(p.opts.Checks)
	if err != nil {
		return err
	}
	for refused := (refusals{}); ; {
		run, chosen := p.restorable(next, kept, refused)
		if !slices.ContainsFunc(run.Chosen, func(v agent.AppVersion) bool { return v.Name == app }) {
			return errors.New(reasons(slices.DeleteFunc(run.Held, func(h heldBack) bool { return h.Want.Name != app })))
		}
		_, err := p.start(ctx, run, chosen, func() error { return next.write(p.cache) })
		if err == nil {
			return p.replace(next, run)
		}
		if ctx.Err() != nil || !refused.learn(err, run.Chosen) {
			return err
		}
	}
}

// replace makes next, which was chosen here, what is kept, and run what runs of it.
func (p *Puller) replace(next, run *pinned) error {
	p.now = next
	if p.fetched != nil { // what waits to be tried is looked at anew
		p.fetched, p.current = nil, false
	}
	p.applied(run, nil)
	return p.sweep(next.wanted())
}

// Retry has the version of an app tried again that failed here, from the next round on.
func (p *Puller) Retry(app string) (err error) {
	p.hurry(context.Background(), func() { err = p.retry(app) })
	return err
}

func (p *Puller) retry(app string) error {
	p.load()
	s, _ := p.now.standing(app)
	if len(s.Refused) == 0 {
		return fmt.Errorf("no version of app %q failed its health gate here, or was taken back: skerry status lists the apps and how they stand", app)
	}
	s.Refused = nil
	next := *p.now
	next.stand(s)
	if err := next.write(p.cache); err != nil {
		return err
	}
	p.now, p.current = &next, false
	return nil
}
