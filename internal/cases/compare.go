package cases

import (
	"fmt"
	"maps"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Difference is one thing in which an outcome is not what a test expects.
type Difference struct {
	Line   int    `json:"line"`            // in the file of tests
	Event  int    `json:"event,omitempty"` // number of the event that led to it
	What   string `json:"what"`            // "publish alerts/s1"
	Reason string `json:"reason"`          // what is wrong with it, in words
	Rows   []Row  `json:"rows,omitempty"`
}

// pair is an expected effect beside the one that came; either may be missing.
type pair struct {
	want, got int // indexes, -1: none
	rows      []Row
}

// Compare tells how an outcome differs from what the test expects; not at all if it
// passes.
func (t *Test) Compare(o *Outcome) (diffs []Difference) {
	if o.Err != nil {
		diffs = append(diffs, Difference{Line: t.Line, What: "the test", Reason: "was not run to its end: " + o.Err.Error()})
	}
	for _, n := range o.Notes {
		if n.Fails {
			diffs = append(diffs, Difference{Line: t.Line, Event: n.Event, What: "function", Reason: n.Text})
		}
	}
	if o.Err != nil {
		return diffs
	}
	pairs := t.pairs(o)
	for i := range pairs {
		if diff, ok := t.disorder(o, pairs, &pairs[i]); ok {
			diffs = append(diffs, diff)
		}
	}
	for _, p := range pairs {
		if diff, ok := t.difference(o, p); ok {
			diffs = append(diffs, diff)
		}
	}
	return append(diffs, t.kept(o)...)
}

// pairs finds the effects that are expected, kind by kind, in the order of the file;
// those that nothing expects stand behind what came before them.
func (t *Test) pairs(o *Outcome) []pair {
	var expected, others []pair
	for _, kind := range slices.Sorted(maps.Keys(shapes)) {
		var wants, gots []int
		for i := range t.Expect {
			if t.Expect[i].Kind == kind {
				wants = append(wants, i)
			}
		}
		if len(wants) == 0 && !shapes[kind].needed {
			continue
		}
		for i := range o.Effects {
			if o.Effects[i].Kind == kind {
				gots = append(gots, i)
			}
		}
		for _, p := range t.align(o, wants, gots) {
			if p.want >= 0 {
				expected = append(expected, p)
			} else {
				others = append(others, p)
			}
		}
	}
	slices.SortFunc(expected, func(a, b pair) int { return a.want - b.want })
	slices.SortFunc(others, func(a, b pair) int { return a.got - b.got })
	for _, p := range others {
		at := len(expected)
		for at > 0 && (expected[at-1].got < 0 || expected[at-1].got > p.got) {
			at--
		}
		expected = slices.Insert(expected, at, p)
	}
	return expected
}

// What it costs to take an expected effect for missing, or one that came for unexpected.
const (
	costMissing = 100
	mostEffects = 1000 // of a kind; beyond, line is compared with line
)

// align pairs what is expected with what came, in both their orders, so that as little
// as possible differs.
func (t *Test) align(o *Outcome, wants, gots []int) []pair {
	n, m := len(wants), len(gots)
	if n > mostEffects || m > mostEffects {
		return t.lineUp(o, wants, gots)
	}
	rows, cost := make([][][]Row, n), make([][]int, n+1)
	cost[n] = make([]int, m+1)
	for j := m - 1; j >= 0; j-- {
		cost[n][j] = (m - j) * costMissing
	}
	for i := n - 1; i >= 0; i-- {
		rows[i], cost[i] = make([][]Row, m), make([]int, m+1)
		cost[i][m] = (n - i) * costMissing
		for j := m - 1; j >= 0; j-- {
			w := &t.Expect[wants[i]]
			rows[i][j] = w.differ(&o.Effects[gots[j]])
			cost[i][j] = min(w.price(rows[i][j])+cost[i+1][j+1], costMissing+cost[i+1][j], costMissing+cost[i][j+1])
		}
	}
	var pairs []pair
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && cost[i][j] == t.Expect[wants[i]].price(rows[i][j])+cost[i+1][j+1]:
			pairs = append(pairs, pair{wants[i], gots[j], rows[i][j]})
			i, j = i+1, j+1
		case i < n && cost[i][j] == costMissing+cost[i+1][j]:
			pairs = append(pairs, pair{wants[i], -1, nil})
			i++
		default:
			pairs = append(pairs, pair{-1, gots[j], nil})
			j++
		}
	}
	return pairs
}

// price is how far off an effect is of which these rows differ: another topic is
// taken for a mistake in it if all else is right, or the event.
func (w *Want) price(rows []Row) int {
	elsewhere := slices.ContainsFunc(rows, func(r Row) bool { return r.Name == w.head().Name })
	switch {
	case len(rows) == 0:
		return 0
	case !elsewhere:
		return costMissing/2 + min(len(rows), costMissing)
	case len(rows) == 1:
		return costMissing + costMissing/2
	case w.Event > 0 && rows[0].Name != "event":
		return 2*costMissing - 1
	}
	return 2*costMissing + 1
}

func (t *Test) lineUp(o *Outcome, wants, gots []int) (pairs []pair) {
	for i := range max(len(wants), len(gots)) {
		p := pair{want: -1, got: -1}
		if i < len(wants) {
			p.want = wants[i]
		}
		if i < len(gots) {
			p.got = gots[i]
		}
		if p.want >= 0 && p.got >= 0 {
			p.rows = t.Expect[p.want].differ(&o.Effects[p.got])
		}
		pairs = append(pairs, p)
	}
	return pairs
}

// disorder tells whether what seems to be missing came at another place, and forgets
// then that it was missing here, and not expected there.
func (t *Test) disorder(o *Outcome, pairs []pair, missing *pair) (Difference, bool) {
	if missing.got >= 0 || missing.want < 0 {
		return Difference{}, false
	}
	w := &t.Expect[missing.want]
	for j := range pairs {
		p := &pairs[j]
		if p.want >= 0 || p.got < 0 || o.Effects[p.got].Kind != w.Kind || len(w.differ(&o.Effects[p.got])) > 0 {
			continue
		}
		e := &o.Effects[p.got]
		is := e.describe()
		missing.want, p.got = -1, -1
		return Difference{w.Line, e.Event, is.name(), "came, but at another place in the order", nil}, true
	}
	return Difference{}, false
}

// difference says what is wrong with a pair; false: nothing.
func (t *Test) difference(o *Outcome, p pair) (Difference, bool) {
	switch {
	case p.want < 0 && p.got < 0:
	case p.got < 0:
		w := &t.Expect[p.want]
		return Difference{w.Line, w.Event, w.name(), "did not come", w.rows()}, true
	case p.want < 0:
		e := &o.Effects[p.got]
		is := e.describe()
		rows := is.rows()
		for i := range rows {
			rows[i].Wanted, rows[i].Got = "", rows[i].Wanted
		}
		return Difference{t.Line, e.Event, is.name(), "is not expected" + t.when(e), rows}, true
	case len(p.rows) > 0:
		e := &o.Effects[p.got]
		is := e.describe()
		return Difference{t.Expect[p.want].Line, e.Event, is.name(), "differs", p.rows}, true
	}
	return Difference{}, false
}

// when says at which time an effect came, unless that is the one of its event.
func (t *Test) when(e *Effect) string {
	if e.Event > 0 && e.Event <= len(t.Events) && t.Events[e.Event-1].At == e.At {
		return ""
	}
	return ", came at " + agent.DurationText(e.At)
}

// kept compares the state afterwards.
func (t *Test) kept(o *Outcome) (diffs []Difference) {
	for _, k := range t.After {
		got, err := o.State(k.Function, k.Key)
		what := fmt.Sprintf("state %s of %s afterwards", k.Key, k.Function)
		switch {
		case err != nil:
			diffs = append(diffs, Difference{Line: k.Line, What: what, Reason: err.Error()})
		case k.Want == nil && got == nil:
		case k.Want == nil:
			diffs = append(diffs, Difference{k.Line, 0, what, "is there", []Row{{"value", "none", valueOf(got).show()}}})
		case got == nil:
			diffs = append(diffs, Difference{k.Line, 0, what, "is not there", []Row{{"value", k.Want.show(), "none"}}})
		default:
			if rows := k.Want.differ(got); len(rows) > 0 {
				diffs = append(diffs, Difference{k.Line, 0, what, "differs", rows})
			}
		}
	}
	return diffs
}
