package agent

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modelFunctions are all started by every event. Strict also emits to lazy; gated
// has a gate.
var modelFunctions = []string{"app/strict", "app/lazy", "app/gated"}

func newModel(t *testing.T, seed uint64) *model {
	rng := rand.New(rand.NewPCG(seed, 0))
	m := &model{t: t, rng: rng, disk: newModelDisk(rng), redriven: map[string]bool{}, gated: map[string]bool{}, regated: map[string]bool{}, place: newModelPlace()}
	m.disk.during = m.during
	m.boot()
	return m
}

// boot starts an agent on what is on disk.
func (m *model) boot() {
	m.agent = New(m.disk, m, nil, Options{Device: "gw7", DefaultBroker: "plant", BreakAfter: 6, BreakPause: time.Second, Language: modelLanguage{}})
	m.agent.turns = newTurns(64) // runs are nested here
	m.agent.hash = func(scope, key string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(scope + "\x00" + key))
		return h.Sum64() >> 7
	}
	m.disk.faults = false
	var err error
	if m.agent.ids, err = newIDs(context.Background(), m.disk, "gw7"); err != nil {
		m.t.Fatal(err)
	}
	m.deploy("1")
	m.disk.faults = !m.calm
	for _, fn := range m.agent.current.Load().functions {
		fn.readInbox()
		fn.started.Store(true)
	}
}

// deploy switches to a version; functions that ran are taken over.
func (m *model) deploy(version string) {
	d := Deployment{}
	for _, name := range modelFunctions {
		f := Function{Name: name, Digest: m.place.digest(version), Limits: DefaultLimits, StateSpace: m.place.now, StateFrom: m.place.from}
		f.Limits.Concurrency, f.Limits.Inbox = 2, 3000
		f.Permissions = Permissions{Invoke: []string{"central/faas", "local/lazy"}}
		tr := Trigger{Name: name + "-on", Function: name, Via: "plant", Filter: "#"}
		if name == "app/lazy" {
			tr.Durability, tr.Within = DurabilityInterval, modelInterval
		}
		if name == "app/gated" {
			tr.Gate.OnChange = []string{"part"}
		}
		d.Functions, d.Triggers = append(d.Functions, f), append(d.Triggers, tr)
	}
	old, next := m.agent.current.Load(), m.agent.deployment(d)
	fresh, err := m.agent.prepare(context.Background(), old, next)
	if err != nil {
		m.t.Fatal(err)
	}
	m.agent.current.Store(next)
	for _, fn := range fresh {
		m.agent.openSpaces(fn)
		if fn.prev != nil {
			fn.prev.retire()
			m.commit() // run does, when its workers have ended
			fn.takeOver()
		}
	}
	m.agent.handOver(old, next, fresh)
	m.settlePlace(fresh)
	for _, fn := range fresh {
		fn.started.Store(true)
	}
}

// modelLanguage has one word.
type modelLanguage struct{ Language }

func (modelLanguage) Value(string, []string) (Value, error) { return modelPart{}, nil }

// modelPart is what the gate goes by: the eighth event of all has another one.
type modelPart struct{}

func (modelPart) Value(t Terms) (any, error) {
	n, err := strconv.Atoi(string(t.Event.Data))
	return part(n), err
}

func part(n int) int { return n / 8 }

func (m *model) Load(_ context.Context, fn Function) (Module, error) {
	return modelGuest{m, fn.Name}, nil
}

// modelGuest counts, keeps the order per key, and fails now and then.
type modelGuest struct {
	m    *model
	name string
}

func (g modelGuest) Close(context.Context) error { return nil }

func (g modelGuest) Invoke(_ context.Context, inv *Invocation) error {
	data := string(inv.Event.Data)
	if strings.HasSuffix(data, "7") || !g.m.calm && g.m.rng.IntN(6) == 0 {
		return errors.New("it fails")
	}
	if strings.HasSuffix(data, "9") {
		return ErrReject
	}
	if _, err := inv.Add("total", 1); err != nil {
		return err
	}
	if g.m.rng.IntN(3) == 0 { // meet the other worker, and the other function
		if _, err := inv.Add("/shared", 1); err != nil {
			return err
		}
	}
	g.m.meanwhile()
	if g.name == "app/strict" && strings.HasSuffix(data, "4") {
		if err := inv.Emit("lazy", []byte("e"+data)); err != nil {
			return err
		}
	}
	return inv.Followup("faas", "", inv.Event.Data)
}
