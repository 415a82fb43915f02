package fleetsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// startError says why an app did not start on this device.
type startError struct {
	text  string
	again bool // it may start later, though nothing of the app changes
}

func (e *startError) Error() string { return e.text }

// refusals are the app versions that did not start when they were applied.
type refusals map[agent.AppVersion]*startError

// learn takes down which of the applied apps err is about. If it tells of any,
// all others can be applied without them.
func (r refusals) learn(err error, applied []agent.AppVersion) bool {
	var load *agent.LoadError
	if !errors.As(err, &load) {
		return false
	}
	known := len(r)
	for _, name := range slices.Sorted(maps.Keys(load.Causes)) {
		app, short, _ := strings.Cut(name, "/")
		i := slices.IndexFunc(applied, func(v agent.AppVersion) bool { return v.Name == app })
		if i < 0 {
			continue
		}
		cause := load.Causes[name]
		text := strings.TrimPrefix(strings.TrimPrefix(cause.Error(), "load "+name+": "), "start the module: ")
		why := r[applied[i]]
		if why == nil {
			why = &startError{}
			r[applied[i]] = why
		}
		why.text = strings.TrimPrefix(fmt.Sprintf("%s; function %s does not start: %s", why.text, short, text), "; ")
		why.again = why.again || passing(cause)
	}
	return len(r) > known
}

// passing tells whether a cause may be the device's own, such as that it was
// busy or short of memory. What the module did itself it would do again.
func passing(cause error) bool {
	var fault *agent.Fault
	return !errors.As(cause, &fault) || fault.Kind == agent.FaultTimeout || fault.Kind == agent.FaultMemory
}

// and is fits for apps that did not refuse.
func (r refusals) and(fits func(*App) error) func(*App) error {
	return func(app *App) error {
		v := agent.AppVersion{Name: app.Metadata.Name, Version: app.Metadata.Version}
		if why := r[v]; why != nil {
			return why
		}
		return fits(app)
	}
}

// unstarted tells whether an app is held back that did not start.
func unstarted(held []heldBack) bool {
	return slices.ContainsFunc(held, func(h heldBack) bool { return h.Unstarted })
}
