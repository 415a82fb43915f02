package agent

import (
	"maps"
	"strconv"
	"strings"
)

// modelPlace is where the state of the app is: a deployment may begin on a copy of it,
// and another one may go back to what it was copied from.
type modelPlace struct {
	now, from string
	number    int
	left      map[string]bool                // places that were given up, with all that happened there
	original  map[string]map[stateKey]string // what a place was when it was copied
}

func newModelPlace() modelPlace {
	return modelPlace{left: map[string]bool{}, original: map[string]map[stateKey]string{}}
}

// move deploys a version that begins on a copy, or goes back.
func (m *model) move() {
	p := &m.place
	if p.now != p.from && m.rng.IntN(2) == 0 {
		p.left[p.now] = true
		p.now = p.from
		m.counts.Returned++
		m.deploy("back")
		if now := m.stateIn(p.now); !maps.Equal(now, p.original[p.now]) {
			m.t.Errorf("the state that %q goes back to was %v, and is %v", p.now, p.original[p.now], now)
		}
		return
	}
	p.number++
	p.from, p.now = p.now, "p"+strconv.Itoa(p.number)
	p.original[p.from] = nil
	m.counts.Copied++
	m.deploy("copy")
}

// settlePlace copies what is to be copied, and keeps in mind what it was.
func (m *model) settlePlace(fresh []*function) {
	p := &m.place
	for _, fn := range fresh {
		if fn.handover != nil {
			fn.handover.before = nil // they ended without run
		}
		if !fn.inherit(m.t.Context()) {
			m.t.Errorf("%s does not inherit its state", fn.Name)
		}
	}
	if p.now == p.from || p.original[p.from] != nil {
		return
	}
	p.original[p.from] = m.stateIn(p.from)
	if copied := m.stateIn(p.now); !maps.Equal(copied, p.original[p.from]) {
		m.t.Errorf("%q was copied from %q as %v, which is %v", p.now, p.from, copied, p.original[p.from])
	}
}

// stateIn is all state of a place; the scopes are those of the usual one.
func (m *model) stateIn(place string) map[stateKey]string {
	found := map[stateKey]string{}
	for k, w := range m.disk.state {
		if rest, ok := strings.CutPrefix(k.scope, placeScope("app", place)); ok && (rest == "" || rest[0] == '/') {
			found[stateKey{placeScope("app", "") + rest, k.key}] = string(w.Value)
		}
	}
	return found
}

// total is what a function has counted where its state is, or is copied from.
func (m *model) total(name string) int {
	fn := &Function{Name: name, StateSpace: m.place.now}
	scope := stateScopes(fn)[ownSpace]
	if there, _ := m.agent.complete("app", m.place.now); !there {
		scope = scopesIn(fn, m.place.from)[ownSpace]
	}
	n, _ := strconv.Atoi(string(m.disk.state[stateKey{scope, "total"}].Value))
	return n
}

// digest is that of a version, by which its outcomes tell where their state is.
func (p *modelPlace) digest(version string) Digest { return Digest("sha256:" + p.now + "." + version) }

// gaveUp tells whether what an outcome left in the state was given up.
func (p *modelPlace) gaveUp(r *Record) bool {
	parts := strings.Split(r.Event.ID, "/")
	place, _, _ := strings.Cut(parts[len(parts)-2], ".")
	return p.left[place]
}
