package agent

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// weigh compares what ran with what the reference says, and looks for leftovers.
func (p *gatherPlay) weigh() {
	var got, want []string
	for _, data := range p.runs {
		got = append(got, p.told(data))
	}
	byKey := map[string][]*playEvent{}
	for _, e := range p.events {
		if !e.acked.Load() {
			p.t.Errorf("event %d is not acknowledged", e.n)
		}
		byKey[e.key] = append(byKey[e.key], e)
	}
	for key, events := range byKey {
		slices.SortFunc(events, func(a, b *playEvent) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
		ref := &reference{rule: p.rule, key: key, counts: p.counts}
		for _, e := range events {
			ref.take(e)
		}
		want = append(want, ref.end()...)
	}
	slices.Sort(got)
	slices.Sort(want)
	p.counts["windows"] += len(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("rule %+v\ngot only:\n%s\nwant only:\n%s", p.rule, only(got, want), only(want, got))
	}
	for k, w := range p.disk.state {
		if strings.HasPrefix(k.scope, asideIndex+"/") && !strings.HasPrefix(k.key, idleKey) {
			p.t.Errorf("left behind: %s %s %q", k.scope, k.key, w.Value)
		}
	}
}

func only(a, b []string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) }), "\n")
}

// told is what the data of a run tell, in the words of the reference.
func (p *gatherPlay) told(data string) string {
	if p.rule.Kind == GatherDebounce {
		n, _ := numberIn([]byte(data))
		return fmt.Sprint("debounce ", p.events[n].key, " ", []int{n})
	}
	var g struct {
		Kind, Key     string
		Start, End    time.Time
		Count         int
		Late, Partial bool
		Events        []struct{ Data struct{ N int } }
	}
	if err := json.Unmarshal([]byte(data), &g); err != nil {
		p.t.Errorf("%s: %v", data, err)
	}
	var ns []int
	for _, e := range g.Events {
		ns = append(ns, e.Data.N)
	}
	slices.Sort(ns)
	if g.Count != len(ns) || g.Partial && p.rule.Size > 0 {
		p.t.Errorf("count %d, partial %v: %s", g.Count, g.Partial, data)
	}
	return window{g.Kind, g.Key, g.Start.UnixNano(), g.End.UnixNano(), g.Late, ns}.String()
}

type window struct {
	kind, key  string
	start, end int64
	late       bool
	ns         []int
}

func (w window) String() string {
	return fmt.Sprint(w.kind, " ", w.key, " ", w.start, "-", w.end, " late=", w.late, " ", w.ns)
}
