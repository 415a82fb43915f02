package fleetsync

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// heldBack is an app version that is chosen for this device but needs what the
// device does not have. It holds up no other app.
type heldBack struct {
	Want   agent.AppVersion `json:"want"`
	Reason string           `json:"reason"` // one line, for people
	// Ran is the version that ran here last, if none of the app runs now, and
	// App its document: a paused assignment goes back to it once it fits.
	Ran string          `json:"ran,omitempty"`
	App json.RawMessage `json:"app,omitempty"`
}

// hold takes out of p the chosen versions that do not fit the device, and
// returns the apps that are to run, in the order of p.Chosen. An app that is
// held back keeps its version in before, if that fits; before may be nil.
func (p *pinned) hold(apps []*App, before *pinned, device *Device, checks Checks) []*App {
	chosen, documents := p.Chosen, p.Apps
	p.Chosen, p.Apps = nil, nil
	var out []*App
	add := func(app *App, v agent.AppVersion, document []byte) {
		out, p.Chosen, p.Apps = append(out, app), append(p.Chosen, v), append(p.Apps, document)
	}
	for i, app := range apps {
		lacks := fits(app, device)
		if lacks == nil {
			add(app, chosen[i], documents[i])
			continue
		}
		held := heldBack{Want: chosen[i]}
		what := "and is left out"
		v, document := before.last(chosen[i].Name)
		switch old, err := parsePublished(appFile(v), document, checks); {
		case err != nil: // there is none, or none that this release can read
		case fits(old, device) == nil:
			add(old, v, document)
			what = "and is held back, " + v.Name + "@" + v.Version + " runs on"
		default:
			held.Ran, held.App = v.Version, document
			p.Blobs = append(p.Blobs, old.modules()...) // lest they are fetched again
		}
		held.Reason = fmt.Sprintf("%s@%s does not fit this device %s: %s", chosen[i].Name, chosen[i].Version, what, oneLine(lacks))
		p.Held = append(p.Held, held)
	}
	return out
}

// fits tells what the device lacks for one app.
func fits(app *App, device *Device) error {
	m := app.Metadata
	_, _, err := bind(0, []agent.AppVersion{{Name: m.Name, Version: m.Version}}, []*App{app}, device)
	return err
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
		list[i] = held[i].Reason
	}
	return strings.Join(list, "; ")
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
	for _, h := range held {
		if !slices.ContainsFunc(p.held, func(o heldBack) bool { return o.Reason == h.Reason }) {
			p.opts.Log.Warn("app is held back", "app", h.Want.Name, "version", h.Want.Version, "reason", h.Reason)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = held
}
