package fleetsync

import (
	"errors"
	"fmt"
	"slices"

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
			out[c.version] = &refusedError{s.Refused[at].Why}
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
type refusedError struct{ why string }

func (e *refusedError) Error() string {
	return e.why + "; it is not tried again: publish another version, or run skerry sync --retry"
}

// whyRefused is why a version failed here; "" if it did not.
func whyRefused(err error) string {
	var refused *refusedError
	if errors.As(err, &refused) {
		return refused.why
	}
	return ""
}

// because says why h is held back, and what comes of it.
func (h *heldBack) because(lacks error, what string) {
	h.Unstarted, h.Refused = errors.As(lacks, new(*startError)), errors.As(lacks, new(*refusedError))
	verdict := "cannot run on this device"
	if h.Refused {
		verdict = "failed here"
	}
	h.Reason = fmt.Sprintf("%s@%s %s and is %s: %s", h.Want.Name, h.Want.Version, verdict, what, oneLine(lacks))
}

func runsOn(v agent.AppVersion) string { return "held back, " + v.Name + "@" + v.Version + " runs on" }
