package agent

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// places is where one event is for one function.
type places struct{ outcomes, waits, dead int }

func (p *places) sum() int { return p.outcomes + p.waits + p.dead }

// find looks for every event on disk, by function and data.
func (m *model) find() map[string]*places {
	found := map[string]*places{}
	at := func(function, data string) *places {
		p := found[function+" "+data]
		if p == nil {
			p = &places{}
			found[function+" "+data] = p
		}
		return p
	}
	for i := range m.disk.records {
		r := &m.disk.records[i]
		switch p := at(r.Function, string(r.Event.Data)); r.Kind {
		case KindFollowup:
			p.outcomes++
		case KindEvent:
			p.waits++
		case KindDead:
			p.dead++
		}
	}
	return found
}

// weigh checks the laws of conservation: every event that was acknowledged is,
// for each function, in exactly one place: its outcome is durable, it waits in
// the inbox, or it is a dead letter; none is in two. Only what an interval may
// lose is missing, and was acknowledged within it. The state counts exactly the
// outcomes there are, but for those of a version whose state was given up.
func (m *model) weigh() {
	found := m.find()
	for _, e := range m.events {
		for _, name := range modelFunctions {
			p := found[name+" "+strconv.Itoa(e.n)]
			if p == nil {
				p = &places{}
			}
			if p.sum() == 0 && !e.acked.IsZero() && name == "app/lazy" && (e.lost[name] || time.Since(e.acked) < modelInterval) {
				m.counts.Lost++
				e.lost[name] = true
				continue
			}
			if p.sum() == 0 && name == "app/gated" && m.gatedBefore(e) {
				m.counts.Gated++
				continue
			}
			if p.sum() > 1 || p.sum() == 0 && !e.acked.IsZero() {
				m.t.Errorf("event %d of %s, acknowledged %v: %+v", e.n, name, !e.acked.IsZero(), *p)
			}
		}
		m.weighEmitted(e, found)
	}
	outcomes := map[string]int{}
	ids := map[string]bool{}
	for i := range m.disk.records {
		if r := &m.disk.records[i]; r.Kind == KindFollowup {
			if !m.place.gaveUp(r) {
				outcomes[r.Function]++
			}
			if ids[r.Event.ID] {
				m.t.Errorf("two follow-ups have the id %s", r.Event.ID)
			}
			ids[r.Event.ID] = true
		} else if r.Kind == KindDead {
			m.counts.Dead++
		}
	}
	for _, name := range modelFunctions {
		if total := m.total(name); total != outcomes[name] {
			m.t.Errorf("%s counted %d in %q, and there are %d outcomes", name, total, m.place.now, outcomes[name])
		}
	}
}

// gatedBefore tells whether the gate had to keep e back: the last event of its key
// that was processed before had the same part.
func (m *model) gatedBefore(e *modelEvent) bool {
	before := -1
	for i := range m.disk.records {
		r := &m.disk.records[i]
		if n, _ := strconv.Atoi(string(r.Event.Data)); r.Kind == KindFollowup && r.Function == "app/gated" && r.Key == e.key && n < e.n {
			before = n
		}
	}
	return before >= 0 && part(before) == part(e.n) || m.regated[e.key]
}

// weighGate checks that of each key the gate let no part through twice in a row.
func (m *model) weighGate() {
	last := map[string]int{}
	for i := range m.disk.records {
		r := &m.disk.records[i]
		if r.Kind != KindFollowup || r.Function != "app/gated" {
			continue
		}
		n, _ := strconv.Atoi(string(r.Event.Data))
		if before, ok := last[r.Key]; ok && part(before) == part(n) {
			m.t.Errorf("the gate let %d through after %d", n, before)
		}
		last[r.Key] = n
	}
}

// weighEmitted checks that what strict emitted is there once if its outcome is.
func (m *model) weighEmitted(e *modelEvent, found map[string]*places) {
	data := strconv.Itoa(e.n)
	from, to := found["app/strict "+data], found["app/lazy e"+data]
	want := 0
	if from != nil && from.outcomes == 1 && strings.HasSuffix(data, "4") {
		want = 1
	}
	if to == nil {
		to = &places{}
	}
	if to.sum() != want {
		m.t.Errorf("emitted by event %s: %+v, want %d of it", data, *to, want)
	}
}

// weighOrder checks that the outcomes of each key came in the order of its events.
func (m *model) weighOrder() {
	last := map[string]int{}
	for i := range m.disk.records {
		r := &m.disk.records[i]
		n, err := strconv.Atoi(string(r.Event.Data))
		if r.Kind != KindFollowup || err != nil || m.wasRedriven(r) || r.Function == "app/gated" && m.regated[r.Key] {
			continue
		}
		stream := fmt.Sprint(r.Function, " ", r.Key)
		if n < last[stream] {
			m.t.Errorf("%s: event %d came after %d", stream, n, last[stream])
		}
		last[stream] = n
	}
}

// wasRedriven tells of outcomes that keep no order but among themselves.
func (m *model) wasRedriven(r *Record) bool {
	event, _, _ := strings.Cut(r.Event.ID, "/app/")
	return m.redriven[r.Function+" "+event]
}

// weighSpaces checks that what is known of the size of the state is right.
func (m *model) weighSpaces() {
	for scope, sp := range m.agent.spaces {
		if known, counted := sp.bytes.Load(), m.agent.countState(scope); known != counted || sp.joined.Load() != 0 {
			m.t.Errorf("%s has %d bytes and is thought to have %d, %d of them not settled", scope, counted, known, sp.joined.Load())
		}
	}
}
