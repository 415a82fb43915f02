package fleetsync

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// features are those that an app can ask for by name; there are none yet.
var features []string

// meets tells what a device is not that an app requires.
func (d *Device) meets(r *AppRequires) error {
	if r == nil {
		return nil
	}
	var errs []error
	lacks := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if want, have := r.agent(), release(d.Release); want != "" && have != "" && compareVersions(have, want) < 0 {
		lacks("it requires skerry %s or newer, and this device has %s: update its package", want, d.Release)
	}
	if len(r.Arch) > 0 && !slices.Contains(r.Arch, d.Arch) {
		lacks("it requires the processor %s, and this device has %s: assign it by the label arch", strings.Join(r.Arch, " or "), d.Arch)
	}
	if d.Memory > 0 && int64(r.Memory) > d.Memory {
		lacks("it requires %s of memory, and this device has %s: assign it to larger ones", r.Memory, Quantity(d.Memory))
	}
	if d.Disk > 0 && int64(r.Disk) > d.Disk {
		lacks("it requires %s of disk, and the agent may use %s here: raise limits.disk in skerry.yaml", r.Disk, Quantity(d.Disk))
	}
	if engine := d.engine(); r.Engine != "" && r.Engine != engine {
		lacks("it requires the %s, and this device has the %s: assign it to others", r.Engine, engine)
	}
	for _, name := range r.Features {
		if !slices.Contains(features, name) {
			lacks("it requires %.80q, which skerry %s does not know: update its package", name, d.Release)
		}
	}
	return errors.Join(errs...)
}

func (d *Device) engine() string {
	if d.Interpreted {
		return engineInterpreter
	}
	return engineCompiler
}

// later is what git describe appends to the last version behind which a build is.
var later = regexp.MustCompile(`(-[0-9]+-g[0-9a-f]+)?(-dirty)?$`)

// release is the version that a build says it is, at least; "" for a build of
// one's own, which is taken for the newest.
func release(build string) string {
	v := later.ReplaceAllString(strings.TrimPrefix(build, "v"), "")
	if !validVersion(v) {
		return ""
	}
	return v
}
