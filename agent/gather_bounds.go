package agent

// early is what has to close before an event finds room.
func (r *gathering) early(s *shelf, at int64, in incoming) (c closing, ok bool) {
	c, ok = r.crowded(s, in)
	if !ok && s.rowCount() >= maxPanes {
		c, ok = r.next(s)
	}
	c.partial = true
	return c, ok
}

// crowded is what would hold too much with one event more.
func (r *gathering) crowded(s *shelf, in incoming) (c closing, ok bool) {
	fits := func(panes ...int) bool {
		n, bytes := uint64(1), in.size
		for _, i := range panes {
			n, bytes = n+s.panes[i].count(), bytes+s.panes[i].bytes
		}
		return n <= maxGathered && bytes <= maxGatheredBytes
	}
	var all []int
	for i := range s.panes {
		all = append(all, i)
	}
	if r.Kind == GatherDebounce || fits(all...) {
		return c, false
	}
	switch r.Kind {
	case GatherSession:
		list := r.touched(s, in.time)
		if len(list) == 0 || fits(list...) {
			return c, false
		}
		return r.closingOf(s, list[0]), true
	case GatherBatch:
		return r.closingOf(s, 0), true
	}
	n := floorDiv(in.time, r.step())
	first, open := r.openWindow(s, in.time)
	if !open {
		for i, p := range s.panes {
			if p.rest && p.start == n*r.step() && !fits(i) {
				return closing{panes: []int{i}, window: n, start: p.start, end: r.endOf(n), ends: r.endOf(n), rest: true}, true
			}
		}
		return c, false
	}
	for ; first <= n; first++ {
		if c = r.window(s, first); !s.isCut(first) && len(c.panes) > 0 && !fits(c.panes...) {
			return c, true
		}
	}
	return closing{}, false
}
