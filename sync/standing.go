package fleetsync

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/skerry-edge/skerry/agent"
)

// standing is how an app stands on this device, beside its document. It is kept also
// when the app is gone, should it come back.
type standing struct {
	App     string       `json:"app"`
	Version string       `json:"version,omitempty"` // that runs, or did before it was held back; "" is none
	Digest  agent.Digest `json:"digest,omitempty"`  // of its document
	Since   time.Time    `json:"since,omitzero"`    // it runs, or has proved itself

	// StateVersion is that of the document, or of the last one; Place is where the
	// state is, see agent.Function.StateSpace.
	StateVersion int    `json:"stateVersion,omitempty"`
	Place        string `json:"place,omitempty"`

	Trial  *trial         `json:"trial,omitempty"`  // nil: not on probation
	Before *before        `json:"before,omitempty"` // what a person may go back to when it is not; nil: nothing is kept
	Failed string         `json:"failed,omitempty"` // why it did not pass, and runs on all the same
	Good   []agent.Digest `json:"good,omitempty"`   // of documents that proved themselves with this state, the newest first
	// Refused are versions that failed here, the newest first: none is tried again.
	Refused []refusal `json:"refused,omitempty"`
}

// trial is a probation.
type trial struct {
	Health *Health `json:"health,omitempty"` // nil: the usual gate
	From   string  `json:"from,omitempty"`   // the place that the state began as a copy of, or is
	// Last is what to go back to, with its document; nil if there is nothing.
	Last     *standing       `json:"last,omitempty"`
	Document json.RawMessage `json:"document,omitempty"`

	Elapsed time.Duration    `json:"elapsed,omitempty"` // of the window, as of the last note
	Tallies map[string]tally `json:"tallies,omitempty"` // as of then, by function
	// Runs are those of the agent that did not end in order, this one included.
	Runs int `json:"runs,omitempty"`
}

// refusal is a version that failed its gate.
type refusal struct {
	Version string       `json:"version"`
	Digest  agent.Digest `json:"digest"` // of its document
	Why     string       `json:"why"`
	At      time.Time    `json:"at"`
	ByHand  bool         `json:"byHand,omitempty"` // it did not fail: a person went back from it
}

const (
	maxRefused = 8  // of an app
	maxGood    = 10 // of an app
	maxAway    = 64 // standings of apps that are gone
)

// standing is that of an app; ok is false if it was never here. The receiver may be nil.
func (p *pinned) standing(app string) (s standing, ok bool) {
	if p == nil {
		return standing{}, false
	}
	i := slices.IndexFunc(p.Standings, func(s standing) bool { return s.App == app })
	if i < 0 {
		return standing{}, false
	}
	return p.Standings[i], true
}

// stand puts a standing in the place of the app's old one.
func (p *pinned) stand(s standing) {
	p.Standings = slices.DeleteFunc(slices.Clone(p.Standings), func(o standing) bool { return o.App == s.App })
	p.Standings = append(p.Standings, s)
}

// plan says how the apps of next, the share of a fleet, stand: what is new here is on
// probation, if there is somebody to ask how it does.
func (p *Puller) plan(next *pinned, fleet *Fleet) {
	for i, v := range next.Chosen {
		next.stand(p.stands(v, next.Apps[i], fleet.health(v.Name, &p.device)))
	}
	if p.now == nil {
		return
	}
	away := 0
	for i := range slices.Backward(p.now.Standings) { // the last to go is the last
		s := p.now.Standings[i]
		if _, there := next.standing(s.App); there {
			continue
		}
		waits := slices.ContainsFunc(next.Held, func(h heldBack) bool { return h.Want.Name == s.App && h.Ran == s.Version })
		if !waits {
			s = s.gone()
			away++
		}
		if away <= maxAway {
			next.Standings = slices.Insert(next.Standings, 0, s)
		}
	}
	for i := range next.Standings {
		next.Blobs = append(next.Blobs, next.Standings[i].modules()...)
	}
}

// gone is the standing of an app that does not run here any more. What was on
// probation leaves the state as it was before.
func (s standing) gone() standing {
	if s.Trial != nil && s.Trial.Last != nil {
		s.StateVersion = s.Trial.Last.StateVersion
	}
	return standing{App: s.App, StateVersion: s.StateVersion, Place: s.from(), Refused: s.Refused}
}

// earlier are the versions that may be gone back to. One that this release cannot read
// is left out: it cannot go back to it either.
func (s *standing) earlier() (out []candidate) {
	add := func(version string, document []byte) {
		if c := parseCandidate(agent.AppVersion{Name: s.App, Version: version}, document, Checks{}); c.wrong == nil {
			out = append(out, c)
		}
	}
	if s.Trial != nil && s.Trial.Last != nil {
		add(s.Trial.Last.Version, s.Trial.Document)
		out = append(out, s.Trial.Last.earlier()...)
	}
	if s.Before != nil && s.Before.Lost == "" {
		add(s.Before.Version, s.Before.Document)
	}
	return out
}

// modules are those of what may be gone back to.
func (s *standing) modules() (out []agent.Digest) {
	for _, c := range s.earlier() {
		out = append(out, c.app.modules()...)
	}
	return out
}

// stands is how a version stands that the fleet wants here, or that runs on instead.
func (p *Puller) stands(v agent.AppVersion, document []byte, health *Health) standing {
	d, shape := fingerprint(document), stateVersionOf(document)
	was, _ := p.now.standing(v.Name)
	if was.Digest == d { // it runs on
		if was.Trial != nil {
			t := *was.Trial
			t.Health = health
			was.Trial = &t
		}
		if !p.device.Policy.Rollback {
			was.Before = nil
		}
		return was
	}
	base, ground := was, p.now.document(agent.AppVersion{Name: v.Name, Version: was.Version})
	if was.Trial != nil && was.Trial.Last != nil {
		base, ground = *was.Trial.Last, was.Trial.Document
		base.Refused = was.Refused
	}
	s := standing{App: v.Name, Version: v.Version, Digest: d, Since: p.opts.Time(), StateVersion: shape, Place: base.Place, Good: base.Good, Refused: was.Refused}
	if base.Digest == d { // back to what has proved itself
		return base.since(s.Since)
	}
	if p.opts.Health == nil || shape == base.StateVersion && slices.Contains(base.Good, d) {
		s.Before = p.before(&base, ground)
		return s
	}
	s.Trial = &trial{Health: health, From: base.Place, Runs: 1}
	if ground != nil {
		base.Trial, base.Refused = nil, nil // those stay with s
		s.Trial.Last, s.Trial.Document = &base, ground
	}
	if shape != base.StateVersion && base.App != "" {
		s.Place, s.Good = fmt.Sprintf("%08x", rand.Uint32()), nil
	}
	return s
}

func (s standing) since(at time.Time) standing {
	s.Since = at
	return s
}

// from is the place that the state begins as a copy of.
func (s *standing) from() string {
	if s.Trial == nil {
		return s.Place
	}
	return s.Trial.From
}

// place tells the functions of a deployment where their state is.
func (p *pinned) place(d *agent.Deployment) {
	for i := range d.Functions {
		fn := &d.Functions[i]
		if s, ok := p.standing(fn.App()); ok {
			fn.StateSpace, fn.StateFrom = s.Place, s.from()
		}
	}
}

// health is the gate of the assignment that gives a device its version of an app.
func (f *Fleet) health(app string, device *Device) *Health {
	for i := range f.Assignments {
		if a := &f.Assignments[i]; a.App == app && a.matches(device) {
			return a.Health
		}
	}
	return nil
}

// fingerprint is a digest of a document that is the same however it is spaced, as a
// pin does.
func fingerprint(document []byte) agent.Digest {
	data, err := json.Marshal(json.RawMessage(document))
	if err != nil {
		data = document
	}
	return agent.Digest(digest.FromBytes(data))
}

// stateVersionOf reads it from a document that was read before.
func stateVersionOf(document []byte) int {
	var app struct {
		StateVersion int `json:"stateVersion"`
	}
	if err := json.Unmarshal(document, &app); err != nil {
		return 0
	}
	return app.StateVersion
}
