package agent

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestModel drives committer and workers step by step in one goroutine, in an
// order that a seed decides, over a disk that fails and loses what was not
// synced, through power cuts, redeliveries and new versions. After every cut
// and at the end it weighs what is on disk: see weigh.
//
//	TEST_SEEDS=10000  how many seeds; 300 without it
//	TEST_SEED=17      that one alone
func TestModel(t *testing.T) {
	first, count := uint64(1), 300
	if n, err := strconv.Atoi(os.Getenv("TEST_SEEDS")); err == nil {
		count = n
	}
	if n, err := strconv.ParseUint(os.Getenv("TEST_SEED"), 10, 64); err == nil {
		first, count = n, 1
	}
	var total modelCounts
	for i := range count {
		seed := first + uint64(i)
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, seed)
			m.run()
			total.add(&m.counts)
			if t.Failed() {
				t.Logf("replay it with: TEST_SEED=%d go test ./agent -run 'TestModel$'", seed)
			}
		})
	}
	t.Logf("%d seeds: %+v", count, total)
	if count >= 100 && slices.Contains([]int{total.Cuts, total.Lost, total.Dead, total.Conflicts, total.Spilled, total.Failed, total.Redriven, total.Gated, total.Copied, total.Returned}, 0) {
		t.Errorf("something never happened, so that the test shows nothing: %+v", total)
	}
}

// modelCounts tells what happened.
type modelCounts struct{ Events, Cuts, Lost, Dead, Conflicts, Spilled, Failed, Redriven, Gated, Copied, Returned int }

func (c *modelCounts) add(o *modelCounts) {
	c.Events += o.Events
	c.Cuts += o.Cuts
	c.Lost += o.Lost
	c.Dead += o.Dead
	c.Conflicts += o.Conflicts
	c.Spilled += o.Spilled
	c.Failed += o.Failed
	c.Redriven += o.Redriven
	c.Gated += o.Gated
	c.Copied += o.Copied
	c.Returned += o.Returned
}

// model is a broker that keeps what is not acknowledged, an agent, and a disk.
type model struct {
	t      *testing.T
	rng    *rand.Rand
	disk   *modelDisk
	agent  *Agent
	events []*modelEvent
	calm   bool // no faults any more: all must end well
	inside bool // a commit is under way
	depth  int  // runs under way

	place    modelPlace
	redriven map[string]bool // function and event: out of order
	gated    map[string]bool // data of events that the gate kept back
	regated  map[string]bool // keys of which the gated function had an event out of order
	counts   modelCounts
}

type modelEvent struct {
	n     int
	slot  string
	key   string
	acked time.Time // zero: not yet
	lost  map[string]bool
}

const (
	modelKeys     = 4
	modelInterval = 50 * time.Millisecond
)

// run takes a few hundred steps, then has everything come to an end.
func (m *model) run() {
	for range 200 {
		m.guarded(m.step)
	}
	m.calm, m.disk.faults = true, false
	m.guarded(func() { panic(powerCut{}) })
	for range 3000 {
		if m.quiet() {
			break
		}
		m.work()
		m.commit()
		m.spill()
		m.wait(5 * time.Second)
	}
	if !m.quiet() {
		m.t.Errorf("it never comes to an end: %d records wait, %d events are not acknowledged", len(m.disk.records), len(m.unacked()))
	}
	m.weigh()
	m.weighOrder()
	m.weighGate()
	m.weighSpaces()
}

// guarded turns a power cut in do into a restart.
func (m *model) guarded(do func()) {
	defer func() {
		if cut := recover(); cut != nil {
			if _, ok := cut.(powerCut); !ok {
				panic(cut)
			}
			m.inside, m.depth = false, 0
			m.counts.Cuts++
			m.disk.crash()
			m.weigh()
			m.boot()
			m.redeliver()
		}
	}()
	do()
}

// step does one thing at random.
func (m *model) step() {
	switch n := m.rng.IntN(100); {
	case n < 30:
		m.offerNew()
	case n < 70:
		m.work()
	case n < 85:
		m.commit()
	case n < 90:
		m.spill()
	case n < 96:
		m.wait(time.Duration(m.rng.IntN(200)) * time.Millisecond)
	case n < 97:
		m.wait(time.Duration(m.rng.IntN(20)) * time.Second)
	case n < 98:
		m.redeliver() // over a new connection
	case n < 99:
		m.redrive()
	case n < 100 && m.rng.IntN(2) == 0:
		if m.rng.IntN(2) == 0 {
			m.move()
		} else {
			m.deploy(strconv.Itoa(m.rng.IntN(100)))
		}
	default:
		panic(powerCut{})
	}
}

// redrive has a person send some dead letters again.
func (m *model) redrive() {
	letters, err := m.agent.DeadBox().List(DeadFilter{})
	if err != nil || len(letters) == 0 {
		return
	}
	f := DeadFilter{}
	for range m.rng.IntN(4) + 1 {
		l := letters[m.rng.IntN(len(letters))]
		f.IDs = append(f.IDs, l.ID)
		m.redriven[l.Function+" "+l.Event] = true
		m.regated[l.Topic] = m.regated[l.Topic] || l.Function == "app/gated"
	}
	if n, err := m.agent.DeadBox().Redrive(context.Background(), f, nil); err == nil {
		m.counts.Redriven += n
	}
}

// during is what happens while a frame is being synced.
func (m *model) during(f *Frame) {
	if m.inside || !m.disk.faults {
		return
	}
	m.inside = true
	spilling := len(f.Add) > 0 && f.Add[0].Kind == KindEvent && len(f.Done) == 0 && f.Add[0].Event.Type != TypeEmit
	if spilling {
		m.counts.Spilled += len(f.Add)
	}
	for range m.rng.IntN(4) {
		if m.rng.IntN(2) == 0 || spilling { // a worker could wait for the spill to end
			m.offerNew()
		} else {
			m.work()
		}
	}
	m.inside = false
}

// meanwhile is what happens while a function runs.
func (m *model) meanwhile() {
	switch n := m.rng.IntN(12); {
	case m.calm || m.depth > 2 || len(m.agent.committer.open.outcomes) > maxGroup/2:
	case n < 3:
		m.depth++
		m.work()
		m.depth--
	case m.inside:
	case n == 3:
		m.commit()
	case n == 4:
		m.spill()
	}
}

func (m *model) wait(d time.Duration) {
	<-time.After(d)
	m.disk.tick()
}

// offerNew has a device publish something.
func (m *model) offerNew() {
	used := map[string]bool{}
	for _, e := range m.unacked() {
		used[e.slot] = true
	}
	id := 1
	for used["plant/"+strconv.Itoa(id)] {
		id++
	}
	if id > 20 {
		return // the window is full
	}
	e := &modelEvent{
		n: len(m.events) + 1, slot: "plant/" + strconv.Itoa(id),
		key: "k" + strconv.Itoa(m.rng.IntN(modelKeys)), lost: map[string]bool{},
	}
	m.events = append(m.events, e)
	m.counts.Events++
	m.offer(e, m.rng.IntN(10) == 0)
}

func (m *model) offer(e *modelEvent, again bool) {
	a := m.agent
	a.Offer(&Event{
		Via: "plant", Subject: e.key, Data: []byte(strconv.Itoa(e.n)), QoS: 1, Time: time.Now(),
		Origin: Origin{Slot: e.slot, Hash: uint64(e.n), Redelivered: again},
	}, func(err error) {
		if a == m.agent && err == nil && e.acked.IsZero() {
			e.acked = time.Now()
		}
	})
}

// redeliver has the broker send what it has no acknowledgement of, in order.
func (m *model) redeliver() {
	for _, e := range m.unacked() {
		if m.gated[strconv.Itoa(e.n)] { // it left no mark, and is asked again
			m.regated[e.key] = true
		}
		m.offer(e, true)
	}
}

func (m *model) unacked() []*modelEvent {
	var left []*modelEvent
	for _, e := range m.events {
		if e.acked.IsZero() {
			left = append(left, e)
		}
	}
	return left
}

// workers lists all that run, in the same order each time.
func (m *model) workers() []*worker {
	var all []*worker
	functions := m.agent.current.Load().functions
	for _, name := range slices.Sorted(maps.Keys(functions)) {
		if functions[name].started.Load() {
			all = append(all, functions[name].workers...)
		}
	}
	return all
}

// work lets one worker run one task.
func (m *model) work() {
	all := m.workers()
	if len(all) == 0 || m.agent.committer.full() {
		return // it would wait
	}
	w := all[m.rng.IntN(len(all))]
	if w.runs != nil {
		return // it is in the middle of a run
	}
	t, _ := w.take(time.Now())
	if t == nil {
		return
	}
	conflicts := w.fn.stats.conflicts.Load()
	ev := t.ev
	w.handle(context.Background(), t)
	if ev != nil && w.staged.count == &w.fn.stats.gated {
		m.gated[string(ev.Data)] = true
	}
	m.counts.Conflicts += int(w.fn.stats.conflicts.Load() - conflicts)
	w.mu.Lock()
	w.runs = nil
	w.mu.Unlock()
}

func (m *model) commit() {
	epoch := m.agent.committer.epoch
	m.agent.committer.commit(context.Background())
	m.counts.Failed += int(m.agent.committer.epoch - epoch)
}

func (m *model) spill() {
	if m.agent.committer.busy() {
		return // it would wait for the commit
	}
	for _, w := range m.workers() {
		w.spill(context.Background(), time.Now().Add(-100*time.Millisecond))
	}
}

// quiet tells whether nothing is left to do.
func (m *model) quiet() bool {
	inboxes := slices.ContainsFunc(m.disk.records, func(r Record) bool { return r.Kind == KindEvent })
	return !inboxes && len(m.unacked()) == 0 && !m.agent.committer.busy()
}
