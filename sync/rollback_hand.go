package fleetsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// before is the version that ran before one that is not on probation any more.
type before struct {
	Version  string          `json:"version"`
	Digest   agent.Digest    `json:"digest"` // of its document
	Document json.RawMessage `json:"document,omitempty"`
	Lost     string          `json:"lost,omitempty"` // why there is no going back to it; "": there is
}

func (b *before) lose(why string) { b.Document, b.Lost = nil, why }

// before is what a person may go back to from now on: was, if the owner lets people.
func (p *Puller) before(was *standing, document []byte) *before {
	if !p.device.Policy.Rollback || document == nil {
		return nil
	}
	return &before{Version: was.Version, Digest: was.Digest, Document: document}
}

// RollBack has an app run the version before at once, without the registry, if the
// owner of the device lets people do that (Policy.Rollback). The version that it goes
// away from is refused here, as one that failed its gate: until the fleet publishes
// another, or Retry. Its error is a sentence that says why not.
func (p *Puller) RollBack(ctx context.Context, app string) (from, to agent.AppVersion, err error) {
	err = errors.New("interrupted")
	p.hurry(ctx, func() { from, to, err = p.rollBack(ctx, app) })
	return from, to, err
}

func (p *Puller) rollBack(ctx context.Context, app string) (from, to agent.AppVersion, err error) {
	p.load()
	why := &refusedError{app: app, why: "a person asked for it on the device", at: p.opts.Time(), byHand: true}
	next, err := p.behind(app, why)
	if err != nil {
		return from, to, err
	}
	from, _ = p.now.last(app)
	to, _ = next.last(app)
	if err := p.switchTo(ctx, next, app); err != nil {
		return from, to, fmt.Errorf("return to %s@%s: %w", app, to.Version, err)
	}
	p.opts.Log.Warn("a person took an app back, and the version before it runs again", "app", app, "left", from.Version, "runs", to.Version,
		"next", "publish another version, or run skerry sync --retry "+app)
	return from, to, nil
}

// behind is what is kept, with an app as it was before the version that runs. Its error
// says why a person cannot have that.
func (p *Puller) behind(app string, why *refusedError) (*pinned, error) {
	if !p.device.Policy.Rollback {
		return nil, fmt.Errorf("people may not take %q back on this device: its owner can allow it with policy.rollback: true in skerry.yaml; skerry fleet rollback does it for all devices", app)
	}
	if p.runs == nil || !slices.ContainsFunc(p.runs.Chosen, func(v agent.AppVersion) bool { return v.Name == app }) {
		return nil, fmt.Errorf("no app %q runs here: skerry status lists those that do", app)
	}
	s, _ := p.now.standing(app)
	if b := s.Before; s.Trial == nil || s.Trial.Last == nil {
		switch {
		case b == nil:
			return nil, fmt.Errorf("no version before %s@%s is kept here: one is from the next update on", app, s.Version)
		case b.Lost != "":
			return nil, fmt.Errorf("there is no going back to %s@%s: %s", app, b.Version, b.Lost)
		}
		s.Trial = &trial{Document: b.Document, Last: &standing{
			App: app, Version: b.Version, Digest: b.Digest, StateVersion: s.StateVersion, Place: s.Place, Good: s.Good,
		}}
	}
	next, err := p.back(s, why)
	if err != nil {
		return nil, err
	}
	return next, p.whole(next, app)
}

// whole tells which module of an app is not kept here.
func (p *Puller) whole(next *pinned, app string) error {
	v, document := next.last(app)
	c := parseCandidate(v, document, p.opts.Checks)
	if c.wrong != nil {
		return c.wrong
	}
	for _, d := range c.app.modules() {
		if !p.cache.HasBlob(d) {
			return fmt.Errorf("there is no going back to %s@%s: its module %s is not kept here any more", app, v.Version, d.Short())
		}
	}
	return nil
}

// backable are the apps that a person may take back now. The turn is held.
func (p *Puller) backable() []string {
	out := []string{}
	if !p.device.Policy.Rollback || p.runs == nil {
		return out
	}
	for _, v := range p.runs.Chosen {
		if _, err := p.behind(v.Name, &refusedError{app: v.Name}); err == nil {
			out = append(out, v.Name)
		}
	}
	return out
}
