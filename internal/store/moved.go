package store

import (
	"cmp"
	"slices"
)

// movedAt is where a record lies whose segment was given back.
type movedAt struct {
	seq uint64
	seg uint32
	pos uint32
}

func byMovedSeq(m movedAt, seq uint64) int { return cmp.Compare(m.seq, seq) }

func (x *index) movedTo(m movedAt) (located, bool) {
	g := x.segs[m.seg]
	if g == nil || !g.moved.waits(int(m.pos)) {
		return located{}, false
	}
	return located{seq: m.seq, queue: g.moved.queues[m.pos], seg: g, t: &g.moved, pos: int(m.pos)}, true
}

// relocate notes that records lie in seg now. Those that do not wait are added
// if revive is set: their first segment may have been given back.
func (x *index) relocate(list []place, seg *segment, off uint32, revive bool) {
	if len(list) == 0 {
		return
	}
	sorted := len(x.moved)
	for i := range list {
		pl := &list[i]
		q := x.queue(pl.queue).id
		pos := seg.moved.add(q, spot{off + pl.off, pl.n})
		seg.notes.moved = append(seg.notes.moved, pl.seq)
		at, ok := x.find(pl.seq)
		switch {
		case ok:
			x.take(&at)
		case revive:
			x.enter(pl)
		default:
			continue
		}
		x.put(seg, &seg.moved, pos, q, int64(pl.n))
		x.setMoved(sorted, movedAt{pl.seq, uint32(seg.number), uint32(pos)})
	}
	x.sortMoved()
}

// setMoved replaces an entry among the first sorted ones, or appends it.
func (x *index) setMoved(sorted int, m movedAt) {
	if i, ok := slices.BinarySearchFunc(x.moved[:sorted], m.seq, byMovedSeq); ok {
		x.moved[i] = m
		return
	}
	x.moved = append(x.moved, m)
}

// sortMoved brings moved in order after some were appended.
func (x *index) sortMoved() {
	bySeq := func(a, b movedAt) int { return cmp.Compare(a.seq, b.seq) }
	if !slices.IsSortedFunc(x.moved, bySeq) {
		slices.SortFunc(x.moved, bySeq)
	}
}
