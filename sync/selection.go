package fleetsync

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Device is what this gateway is and has, as its owner configured it.
type Device struct {
	ID      string
	Labels  map[string]string
	Brokers []string // names; the first is the default
	Targets []string // names
	Secrets []string // names
	Sources []string // names of the sources of its own: files, processes
	HTTP    bool     // it takes requests, for triggers with http
	Arch    string   // GOARCH; also the label "arch", unless Labels has one
	// Interpreted says that WebAssembly is not compiled here, see DefaultLimits.
	Interpreted bool
	ModuleSize  int64  // bytes of a module at most; 0: no limit but the document's own
	Memory      int64  // bytes the device has; 0: not known
	Disk        int64  // bytes that the agent may use at most; 0: not known
	Release     string // of the agent: another one may run what this one holds back
	Policy      Policy
}

func (d *Device) label(key string) (string, bool) {
	v, ok := d.Labels[key]
	if !ok && key == "arch" && d.Arch != "" {
		return d.Arch, true
	}
	return v, ok
}

// choose picks the version of each app for this device: the first assignment
// that matches counts. Running is what the device runs now, by app; a paused
// assignment keeps that.
func choose(fleet *Fleet, device *Device, running map[string]string) []agent.AppVersion {
	var out []agent.AppVersion
	decided := map[string]bool{}
	for i := range fleet.Assignments {
		a := &fleet.Assignments[i]
		if decided[a.App] || !a.matches(device) {
			continue
		}
		decided[a.App] = true
		version := a.Version
		if a.Paused {
			version = running[a.App]
		}
		if version != versionNone && version != "" {
			out = append(out, agent.AppVersion{Name: a.App, Version: version})
		}
	}
	return out
}

// forAll tells whether every device follows the assignment.
func (a *Assignment) forAll() bool { return a.Selector == nil && a.Percent == nil && !a.Paused }

func (a *Assignment) matches(device *Device) bool {
	return a.Selector.matches(device) && a.inPercent(device.ID)
}

// inPercent draws a device by its bucket of 10,000, so that raising the
// percentage keeps the devices that are in, and a new version draws anew.
func (a *Assignment) inPercent(id string) bool {
	return a.Percent == nil || float64(bucket(a.App, a.Version, id)) < math.Round(*a.Percent*100)
}

func bucket(app, version, id string) uint64 {
	sum := sha256.Sum256([]byte(app + "@" + version + "\x00" + id))
	return binary.BigEndian.Uint64(sum[:8]) % 10000
}

func (s *Selector) matches(device *Device) bool {
	if s == nil {
		return true
	}
	if len(s.Devices) > 0 && !slices.Contains(s.Devices, device.ID) {
		return false
	}
	for key, want := range s.MatchLabels {
		if got, ok := device.label(key); !ok || got != want {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		if !e.matches(device) {
			return false
		}
	}
	return true
}

// matches follows Kubernetes: NotIn holds for a device without the label.
func (e *Expression) matches(device *Device) bool {
	value, ok := device.label(e.Key)
	switch e.Operator {
	case "In":
		return ok && slices.Contains(e.Values, value)
	case "NotIn":
		return !ok || !slices.Contains(e.Values, value)
	case "Exists":
		return ok
	default:
		return !ok
	}
}
