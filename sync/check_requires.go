package fleetsync

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	engineCompiler    = "compiler"
	engineInterpreter = "interpreter"
	maxStateVersion   = 1_000_000_000
	maxPatches        = 8
	usualKeep         = 2
	maxKeep           = 10
	minHealthWindow   = time.Second
	maxHealthWindow   = 7 * 24 * time.Hour
	maxHealthCount    = 1_000_000_000
)

// architectures are those that releases are built for, as GOARCH.
var architectures = []string{"386", "amd64", "arm", "arm64", "riscv64"}

// agent is the least version of the agent, "0.4.0"; "" if any will do.
func (r *AppRequires) agent() string {
	if r == nil {
		return ""
	}
	return strings.TrimPrefix(r.Agent, ">=")
}

// keep is how many sets of modules stay on a device, the running one counted.
func (s FleetSync) keep() int {
	if s.KeepVersions == nil {
		return usualKeep
	}
	return *s.KeepVersions
}

func (c *appCheck) requires(r *AppRequires) {
	if r == nil {
		return
	}
	if v, ok := strings.CutPrefix(r.Agent, ">="); r.Agent != "" && (!ok || !validVersion(v)) {
		c.fail("requires.agent", "%.80q is no requirement: write the least version, as in \">=0.4.0\"", r.Agent)
	}
	c.unique("requires.arch", r.Arch)
	for i, arch := range r.Arch {
		c.oneOf(fmt.Sprintf("requires.arch[%d]", i), arch, architectures...)
	}
	c.oneOf("requires.engine", r.Engine, engineCompiler, engineInterpreter)
	c.unique("requires.features", r.Features)
	for i, feature := range r.Features {
		c.name(fmt.Sprintf("requires.features[%d]", i), feature)
	}
}

func (c *appCheck) patches(path string, m *AppModule) {
	if m.Path != "" && len(m.Patches) > 0 {
		c.fail(path, "publish makes them: remove the key")
		return
	}
	if len(m.Patches) > maxPatches {
		c.fail(path, "%d patches, at most %d", len(m.Patches), maxPatches)
	}
	var from []string
	for i, p := range m.Patches {
		at := fmt.Sprintf("%s[%d]", path, i)
		for _, d := range []struct{ key, digest string }{{"from", p.From}, {"digest", p.Digest}} {
			if !digestForm.MatchString(d.digest) {
				c.fail(at+"."+d.key, "%.80q is no digest: write sha256: and 64 hex digits", d.digest)
			}
		}
		if slices.Contains(from, p.From) {
			c.fail(at+".from", "there is a patch from %.80q already: remove one", p.From)
		}
		from = append(from, p.From)
		if p.Size < 1 || p.Size > maxModule {
			c.fail(at+".size", "%d bytes is no size of a patch: 1 to %d", p.Size, maxModule)
		}
		if p.Format != patchFormat {
			c.fail(at+".format", "%.80q is not one of %s", p.Format, patchFormat)
		}
	}
}

func (c *fleetCheck) health(path string, a *Assignment) {
	h := a.Health
	if h == nil {
		return
	}
	if a.Version == versionNone {
		c.fail(path, "version: none runs nothing that could be judged: remove it")
		return
	}
	c.between(path+".window", h.Window, minHealthWindow, maxHealthWindow)
	c.within(path+".minInvocations", h.MinInvocations, 1, maxHealthCount)
	if p := h.MaxErrorPercent; p != nil && (*p < 0 || *p > 100) {
		c.fail(path+".maxErrorPercent", "%v is no percentage: 0 to 100", *p)
	}
	c.between(path+".maxP99", h.MaxP99, time.Millisecond, maxTimeout)
	c.within(path+".maxTraps", h.MaxTraps, 0, maxHealthCount)
	c.oneOf(path+".onFailure", h.OnFailure, onFailureRollback, onFailureKeep)
}

// What a device does with a version that does not pass its gate.
const (
	onFailureRollback = "rollback"
	onFailureKeep     = "keep"
)
