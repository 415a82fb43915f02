package fleetsync

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// quarantine are the versions that the fleet wants here and that failed before, with why.
type quarantine map[agent.AppVersion]*refusedError

// refusals finds the wanted versions that failed here. The receiver may be nil.
func (p *pinned) refusals(wanted []candidate) quarantine {
	out := quarantine{}
	for i := range wanted {
		c := &wanted[i]
		s, _ := p.standing(c.version.Name)
		d := fingerprint(c.document)
		if at := slices.IndexFunc(s.Refused, func(r refusal) bool { return r.Digest == d }); at >= 0 {
			out[c.version] = s.Refused[at].err(c.version.Name)
		}
	}
	return out
}

// and is fits for apps that did not fail here.
func (q quarantine) and(fits func(*App) error) func(*App) error {
	return func(app *App) error {
		if why := q[agent.AppVersion{Name: app.Metadata.Name, Version: app.Metadata.Version}]; why != nil {
			return why
		}
		return fits(app)
	}
}

// refusedError says that a version failed here, and is not tried again.
type refusedError struct {
	app    string
	why    string
	at     time.Time // zero: now
	byHand bool
}

func (r *refusal) err(app string) *refusedError { return &refusedError{app, r.Why, r.At, r.ByHand} }

func (e *refusedError) Error() string {
	return e.why + "; it is not tried again: publish another version, or run skerry sync --retry " + e.app
}

// because says why h is held back, and what comes of it.
func (h *heldBack) because(lacks error, what string) {
	var refused *refusedError
	h.Unstarted, h.Refused = errors.As(lacks, new(*startError)), errors.As(lacks, &refused)
	verdict := "cannot run on this device"
	if h.Refused {
		verdict, h.Since = "failed here", refused.at
		if h.ByHand = refused.byHand; h.ByHand {
			verdict = "was taken back here"
		}
	}
	h.Reason = fmt.Sprintf("%s@%s %s and is %s: %s", h.Want.Name, h.Want.Version, verdict, what, oneLine(lacks))
}

func runsOn(v agent.AppVersion) string { return "held back, " + v.Name + "@" + v.Version + " runs on" }
