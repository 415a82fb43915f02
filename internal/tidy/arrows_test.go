package tidy_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// arrow says which packages of this module a folder may import.
type arrow struct {
	from  string
	to    []string // folders; nil is none
	tests []string // more for its tests
}

const anything = "*"

// arrows is docs/architecture.md as a table. The first line whose folder holds
// the package counts.
var arrows = []arrow{
	{from: "cmd", to: []string{anything}},
	{from: "examples", to: []string{"wasm/guest/go"}, tests: []string{anything}},
	{from: "agent/admin", to: []string{"agent", "internal/logbook", "internal/recording"}},
	{from: "agent/page", to: []string{"agent/admin"}},
	{from: "agent", tests: []string{"internal/store", "internal/when"}},
	{from: "sensors/gather"},
	{from: "sensors/broker", to: []string{"agent", "sensors/gather"}},
	{from: "sensors/mqtt", to: []string{"sensors/gather"}},
	{from: "sensors", to: []string{"agent", "sensors/broker", "sensors/gather", "sensors/mqtt"}},
	{from: "wasm/guest"}, // what modules are built with: no part of the agent
	{from: "wasm/instrument"},
	{from: "wasm/codecache", to: []string{"wasm/instrument"}},
	{from: "wasm/javascript"},
	{from: "wasm", to: []string{"agent", "wasm/instrument", "wasm/codecache", "wasm/javascript"}},
	{from: "sync/trust"},
	{from: "sync", to: []string{"agent", "internal/store", "sync/trust"}, tests: []string{"docs/schema", "internal/when", "sensors"}},
	{from: "uplink", to: []string{"agent", "internal/store"}, tests: []string{"internal/when"}},
	{from: "internal/store", to: []string{"agent"}},
	{from: "internal/when", to: []string{"agent"}},
	{from: "internal/logbook", to: []string{"agent"}},
	{from: "internal/recording", to: []string{"agent"}},
	{from: "internal/cases", to: []string{"agent", "internal/recording"}},
	{from: "internal/fleetsim", to: []string{"agent", "sync"}, tests: []string{"examples"}},
	{from: "internal/author", to: []string{"examples", "wasm/guest"}},
	{from: "internal/bench", to: []string{anything}},
	{from: "internal/benchwasm", to: []string{anything}},
	{from: "internal/benchstore", to: []string{anything}},
	{from: "internal/testbed"},
	{from: "internal/peers/book"}, // a module of its own, as the next
	{from: "internal/peers", to: []string{"internal/peers/book"}},
	{from: "internal/devicetest", tests: []string{"agent", "agent/admin"}},
	{from: "internal/pagetest", tests: []string{"agent", "agent/admin"}},
	{from: "internal/powercut", tests: []string{"internal/store"}},
	{from: "internal/dist"},
	{from: "internal/manual", tests: []string{"docs/schema", "internal/cases", "internal/when", "sync"}},
	{from: "docs/schema"},
	{from: "internal/tidy"},
}

func TestImportArrows(t *testing.T) {
	tr := source(t)
	for _, f := range tr.files {
		i := slices.IndexFunc(arrows, func(a arrow) bool { return within(f.dir, a.from) })
		if i < 0 {
			t.Errorf("%s: no arrow starts in folder %s: add it to internal/tidy/arrows_test.go and docs/architecture.md", f.path, f.dir)
			continue
		}
		for _, spec := range f.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", tr.at(spec.Pos()), err)
				continue
			}
			if to == module || strings.HasPrefix(to, module+"/") {
				to = strings.TrimPrefix(strings.TrimPrefix(to, module), "/")
				if !arrows[i].allows(f, to) {
					t.Errorf("%s: %s must not import %s: declare the interface it needs in %s and let cmd/skerry wire it", tr.at(spec.Pos()), f.dir, to, f.dir)
				}
			}
		}
	}
}

// allows tells whether f may import the folder to.
func (a arrow) allows(f goFile, to string) bool {
	if within(to, a.from) && within(f.dir, to) || f.dir == to {
		return true // a test of its own package
	}
	allowed := a.to
	if f.test {
		allowed = slices.Concat(allowed, a.tests, []string{a.from, "internal/testbed"})
	}
	return slices.Contains(allowed, anything) || slices.Contains(allowed, to)
}

func within(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

// TestAgentImportsAlmostNothing keeps the words and the ports free of
// libraries: whoever reads them needs to know Go only.
func TestAgentImportsAlmostNothing(t *testing.T) {
	tr := source(t)
	for _, f := range tr.files {
		if !within(f.dir, "agent") || f.test {
			continue
		}
		for _, spec := range f.Imports {
			to, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: %v", tr.at(spec.Pos()), err)
				continue
			}
			first, _, _ := strings.Cut(to, "/")
			outside := strings.Contains(first, ".") && !strings.HasPrefix(to, module)
			if outside && to != "golang.org/x/sync/errgroup" {
				t.Errorf("%s: agent must not import %s: put what needs it into a room around agent, behind a port", tr.at(spec.Pos()), to)
			}
		}
	}
}
