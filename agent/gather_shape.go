package agent

import "slices"

// What closes, and where an event goes, by kind. Windows have numbers: number n
// of a tumbling one of Size, or a sliding one that begins each Every, starts at n
// times that since 1970. A stretch is what lies between two starts, so that each
// window consists of whole stretches, but for its end.

// closing is what is closed together.
type closing struct {
	panes      []int // of the shelf
	window     int64 // number; of windows
	start, end int64 // what people are told; of windows also what belongs to them
	ends       int64 // it closes when the watermark gets there
	rest       bool  // what came after the window closed early
	partial    bool
}

// step is the time between two windows.
func (r *gathering) step() int64 {
	if r.Kind == GatherSliding {
		return max(1, int64(r.Every))
	}
	return max(1, int64(r.Size))
}

// unit is what starts of panes are multiples of.
func (r *gathering) unit() int64 {
	if r.aligned() {
		return r.step()
	}
	return 1
}

func (r *gathering) aligned() bool { return r.Kind == GatherTumbling || r.Kind == GatherSliding }

// windows tells whether a key is remembered that has nothing put aside.
func (r *gathering) windows() bool { return r.aligned() || r.Kind == GatherSession }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// endOf is the end of a window.
func (r *gathering) endOf(window int64) int64 { return window*r.step() + int64(r.Size) }

// firstOf is the first window that ends after a time, the last that begins by it
// being floorDiv(t, step).
func (r *gathering) firstOf(t int64) int64 { return floorDiv(t-int64(r.Size), r.step()) + 1 }

// openWindow is the first window in which t lies and that has not closed.
func (r *gathering) openWindow(s *shelf, t int64) (window int64, ok bool) {
	first := r.firstOf(t)
	if s.mark > t { // windows that ended by then are closed
		first = max(first, r.firstOf(s.mark))
	}
	for n := first; n <= floorDiv(t, r.step()); n++ {
		if !s.isCut(n) {
			return n, true
		}
	}
	return 0, false
}

func (s *shelf) isCut(window int64) bool {
	_, found := slices.BinarySearch(s.cut, window)
	return found
}

// next is what closes next.
func (r *gathering) next(s *shelf) (c closing, ok bool) {
	for i := range s.panes {
		var other closing
		switch {
		case !r.aligned():
			other = r.closingOf(s, i)
		case s.panes[i].rest:
			n := s.panes[i].start / r.step()
			other = closing{panes: []int{i}, window: n, start: n * r.step(), end: r.endOf(n), ends: r.endOf(n), rest: true, partial: true}
		case c.panes != nil && !c.rest:
			continue // windows of later stretches close later
		default:
			other = r.firstWindow(s, i)
		}
		if other.panes != nil && (c.panes == nil || other.ends < c.ends) {
			c = other
		}
	}
	return c, c.panes != nil
}

// firstWindow is the first window that has not closed of those that hold a part
// of the i-th pane.
func (r *gathering) firstWindow(s *shelf, i int) closing {
	start := s.panes[i].start
	first := r.firstOf(start)
	if s.mark > start {
		first = max(first, r.firstOf(s.mark))
	}
	for n := first; n <= start/r.step(); n++ {
		if !s.isCut(n) {
			return r.window(s, n)
		}
	}
	return closing{}
}

// window is the closing of a window.
func (r *gathering) window(s *shelf, n int64) closing {
	c := closing{window: n, start: n * r.step(), end: r.endOf(n), ends: r.endOf(n)}
	for i := range s.panes {
		if p := &s.panes[i]; !p.rest && p.start >= c.start && p.start < c.end {
			c.panes = append(c.panes, i)
		}
	}
	return c
}

// closingOf is the closing of a session, a batch or what is debounced.
func (r *gathering) closingOf(s *shelf, i int) closing {
	p := &s.panes[i]
	c := closing{panes: []int{i}, start: p.start, end: p.last}
	switch r.Kind {
	case GatherBatch:
		size := r.Size
		c.partial = size == 0
		if size == 0 {
			size = maxBatchWait
		}
		c.ends = p.start + int64(size)
		if r.Count > 0 && p.count() >= uint64(r.Count) || r.Bytes > 0 && p.bytes >= r.Bytes {
			c.ends, c.partial = p.start, false
		}
	default: // a pause
		c.ends = p.last + int64(r.Size)
		if r.Most > 0 {
			c.ends = min(c.ends, p.start+int64(r.Most))
		}
	}
	return c
}

// due is when something of the shelf closes, by the clock of the rule.
func (r *gathering) due(s *shelf) int64 {
	c, ok := r.next(s)
	switch {
	case !ok:
		return never
	case r.Time == "":
		return c.ends
	}
	return c.ends - s.lead + int64(r.Lateness)
}

// late tells whether an event comes after all windows that it lies in have
// closed, and which was the last of them.
func (r *gathering) late(s *shelf, in incoming) (start, end int64, late bool) {
	if r.Time == "" || !r.windows() {
		return 0, 0, false
	}
	mark := s.watermark(r, in.at)
	if r.Kind == GatherSession {
		return in.time, in.time, len(r.touched(s, in.time)) == 0 && in.time+int64(r.Size) <= mark
	}
	n := floorDiv(in.time, r.step())
	return n * r.step(), r.endOf(n), r.endOf(n) <= mark && r.endOf(n) > in.time
}

// place is the pane that an event goes to, nil if it lies between two windows.
func (r *gathering) place(s *shelf, at int64, in incoming) *pane {
	switch r.Kind {
	case GatherTumbling, GatherSliding:
		n := floorDiv(in.time, r.step())
		if r.endOf(n) <= in.time {
			return nil
		}
		_, open := r.openWindow(s, in.time)
		return s.stretch(n*r.step(), !open)
	case GatherSession:
		return s.join(in.time, r.touched(s, in.time))
	}
	if len(s.panes) == 0 {
		return s.join(at, nil)
	}
	s.panes[0].last = at
	return &s.panes[0]
}

// stretch finds the pane that starts there, or makes it.
func (s *shelf) stretch(start int64, rest bool) *pane {
	i, found := slices.BinarySearchFunc(s.panes, start, func(p pane, start int64) int {
		switch {
		case p.start < start || p.start == start && rest && !p.rest:
			return -1
		case p.start > start || p.rest != rest:
			return 1
		}
		return 0
	})
	if !found {
		s.panes = slices.Insert(s.panes, i, pane{start: start, last: start, rest: rest, rows: []row{{id: s.newRow()}}})
	}
	return &s.panes[i]
}

func (s *shelf) newRow() uint64 {
	s.next++
	return s.next
}

// touched are the panes of the sessions that an event of that time belongs to:
// those it is nearer to than the pause that ends them, oldest first, as far as
// they make one session that is not too long.
func (r *gathering) touched(s *shelf, t int64) (list []int) {
	start, last, gap := t, t, int64(r.Size)
	for i := range s.panes {
		p := &s.panes[i]
		if start-p.last >= gap || p.start-last >= gap {
			continue
		}
		from, to := min(start, p.start), max(last, p.last)
		if r.Most > 0 && to-from >= int64(r.Most) {
			continue
		}
		start, last, list = from, to, append(list, i)
	}
	return list
}

// join makes one pane of some, and of what comes at that time.
func (s *shelf) join(t int64, list []int) *pane {
	all := pane{start: t, last: t}
	for _, i := range list {
		p := &s.panes[i]
		all.start, all.last = min(all.start, p.start), max(all.last, p.last)
		all.bytes += p.bytes
		all.rows = append(all.rows, p.rows...)
	}
	for _, i := range slices.Backward(list) {
		s.panes = slices.Delete(s.panes, i, i+1)
	}
	if len(all.rows) == 0 {
		all.rows = []row{{id: s.newRow()}}
	}
	i, _ := slices.BinarySearchFunc(s.panes, all.start, func(p pane, start int64) int { return int(max(-1, min(1, p.start-start))) })
	s.panes = slices.Insert(s.panes, i, all)
	return &s.panes[i]
}

// never is when nothing is due.
const never = int64(1<<63 - 1)

// shut notes that c was closed, when the watermark was at mark. It returns the
// panes that nothing needs any more.
func (r *gathering) shut(s *shelf, c closing, mark int64) (gone []pane) {
	window := r.aligned() && !c.rest
	switch {
	case window && c.ends <= mark:
		s.mark = max(s.mark, c.ends)
	case window:
		i, _ := slices.BinarySearch(s.cut, c.window)
		s.cut = slices.Insert(s.cut, i, c.window)
	}
	for _, i := range slices.Backward(c.panes) {
		if window && r.firstWindow(s, i).panes != nil {
			continue
		}
		gone = append(gone, s.panes[i])
		s.panes = slices.Delete(s.panes, i, i+1)
	}
	if len(s.cut) > maxPanes {
		r.forgetCut(s)
	}
	s.cut = slices.DeleteFunc(s.cut, func(n int64) bool { return r.endOf(n) <= s.mark })
	return gone
}

// forgetCut has all windows up to the first that closed early count as closed, unless
// one of them is open: of a rule with many windows and a long lateness there would be
// too many to remember.
func (r *gathering) forgetCut(s *shelf) {
	ends := r.endOf(s.cut[0])
	for i := range s.panes {
		if c := r.firstWindow(s, i); !s.panes[i].rest && c.panes != nil {
			if c.ends < ends {
				return
			}
			break // windows of later stretches close later
		}
	}
	s.mark = max(s.mark, ends)
}
