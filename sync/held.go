package fleetsync

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// heldBack is an app version that is chosen for this device and cannot run on
// it, or did not start. It holds up no other app.
type heldBack struct {
	Want   agent.AppVersion `json:"want"`
	Reason string           `json:"reason"` // one line, for people
	// Ran is the version that ran here last, if none of the app runs now, and
	// App its document: a paused assignment goes back to it once it fits.
	Ran string          `json:"ran,omitempty"`
	App json.RawMessage `json:"app,omitempty"`
	// Unstarted says that it was tried and did not start: it is tried again when
	// the agent starts, and at next if that is not zero.
	Unstarted bool `json:"unstarted,omitempty"`
	// Refused says that it failed here, and is not tried again.
	Refused bool `json:"refused,omitempty"`
	// ByHand says that it did not fail: a person went back from it.
	ByHand bool      `json:"byHand,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	next   time.Time
}

// candidate is an app version that is chosen for this device.
type candidate struct {
	version  agent.AppVersion
	document json.RawMessage
	app      *App  // nil if wrong is not
	wrong    error // why the document cannot be used
}

func parseCandidate(v agent.AppVersion, document []byte, checks Checks) candidate {
	c := candidate{version: v, document: document}
	c.app, c.wrong = parsePublished(v, document, checks)
	return c
}

// hold makes p run those of chosen that fit, and returns them. An app that
// does not fit is held back: it keeps its version in before, if that fits;
// before may be nil.
func (p *pinned) hold(chosen []candidate, before *pinned, fits func(*App) error, checks Checks) []candidate {
	var out []candidate
	for _, c := range chosen {
		lacks := c.wrong
		if lacks == nil {
			lacks = fits(c.app)
		}
		if lacks == nil {
			out = append(out, c)
			continue
		}
		held := heldBack{Want: c.version}
		if errors.As(lacks, new(*startError)) {
			p.Blobs = append(p.Blobs, c.app.modules()...) // it is tried again
		}
		what := "left out"
		v, document := before.last(c.version.Name)
		old := parseCandidate(v, document, checks)
		why := old.wrong // there is none, or none that this release can read
		if why == nil {
			why = fits(old.app)
		}
		switch {
		case why == nil:
			out = append(out, old)
			what = runsOn(v)
		case old.wrong == nil && !errors.Is(why, errRevoked):
			held.Ran, held.App = v.Version, document
			p.Blobs = append(p.Blobs, old.app.modules()...) // lest they are fetched again
		}
		held.because(lacks, what)
		p.Held = append(p.Held, held)
	}
	p.Chosen, p.Apps = nil, nil
	for _, c := range out {
		p.Chosen, p.Apps = append(p.Chosen, c.version), append(p.Apps, c.document)
	}
	return out
}

func apps(chosen []candidate) []*App {
	out := make([]*App, len(chosen))
	for i := range chosen {
		out[i] = chosen[i].app
	}
	return out
}

// fits tells what the device lacks for one app, and what its owner does not allow.
func (d *Device) fits(app *App) error {
	m := app.Metadata
	_, _, err := bind(0, []agent.AppVersion{{Name: m.Name, Version: m.Version}}, []*App{app}, d)
	return errors.Join(d.meets(app.Requires), err, d.allows(app))
}

func (a *App) modules() []agent.Digest {
	var out []agent.Digest
	for _, fn := range a.Functions {
		out = append(out, agent.Digest(fn.Module.Digest))
	}
	return out
}

// reasons are the sentences about what is held back, for one line.
func reasons(held []heldBack) string {
	list := make([]string, len(held))
	for i := range held {
		list[i] = held[i].Reason + triedAgain(held[i].next)
	}
	return strings.Join(list, "; ")
}

// triedAgain goes on after the reason of what is held back; at may be zero.
func triedAgain(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return "; it is tried again at " + at.Format(time.RFC3339)
}

// oneLine is an error as one line, joined errors one after the other.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}

// tellHeld keeps for Status what is held back, and logs what is new of it.
func (p *Puller) tellHeld(held []heldBack) {
	for i := range held {
		h := &held[i]
		h.next = p.retries[h.Want].next
		if at := slices.IndexFunc(p.held, func(o heldBack) bool { return o.Want == h.Want }); at >= 0 {
			h.Since = p.held[at].Since
		} else if h.Since.IsZero() {
			h.Since = p.opts.Time()
		}
		told := h.Refused && p.runs != nil // when it was refused
		if !told && !slices.ContainsFunc(p.held, func(o heldBack) bool { return o.Reason == h.Reason }) {
			p.opts.Log.Warn("app is held back", "app", h.Want.Name, "version", h.Want.Version, "reason", h.Reason)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held, p.status.RetryAt = held, p.retries.first()
}
