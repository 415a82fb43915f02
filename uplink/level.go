package uplink

import (
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Levels names the queues of a target, the highest priority first.
func Levels(target string) []string {
	var names []string
	for p := 9; p >= 0; p-- {
		names = append(names, agent.QueueTarget(target, uint8(p), true), agent.QueueTarget(target, uint8(p), false))
	}
	return names
}

// level is one queue of an outbox, and the part of it that is in memory.
type level struct {
	window
	at       int // place of the queue
	priority uint8
	after    uint64 // read up to here
	furthest uint64 // newest record ever read
	news     int    // records newer than any before, since keys were last recalled
}

// priorityOf is that of the records in a queue; those of brokers have none.
func priorityOf(queue string) uint8 {
	_, p, _, ok := agent.SplitTarget(queue)
	if !ok {
		return agent.DefaultWay.Priority
	}
	return p
}

// take takes in a page that was read.
func (l *level) take(recs []agent.Record) {
	for i := range recs {
		seq := recs[i].Seq
		l.after = max(l.after, seq)
		if seq > l.furthest {
			l.furthest = seq
			l.news++
		}
		l.add(&item{rec: recs[i], level: l})
	}
	l.away.passed(l.after)
}

// rewind reads again from seq on, 0 for not at all, since something that was
// left on the disk may be read now.
func (l *level) rewind(seq uint64) {
	if seq > 0 && seq <= l.after {
		l.after = seq - 1
	}
}

// recall reads again what was left on the disk and is due. Newer records get a
// turn in between, or keys that fail again and again would be all that is ever
// read.
func (l *level) recall(now time.Time, atEnd bool, link Link) {
	if l.full() || !atEnd && l.news <= l.limit/2 {
		return
	}
	l.askFor(now, link)
	if seq := l.away.recall(now); seq > 0 {
		l.news = 0
		l.rewind(seq)
	}
}

// shrink gives the newest records back to the disk that are beyond the level's
// share of the memory; the one that fills it stays, as when a page is read.
func (l *level) shrink() {
	n, bytes := len(l.items), l.bytes
	var back []*item
	for i := len(l.items) - 1; i >= 0 && n > 1; i-- {
		it := l.items[i]
		if n <= l.limit && bytes-it.size() < l.maxBytes {
			break
		}
		if it.waiting {
			back = append(back, it)
			n--
			bytes -= it.size()
		}
	}
	if len(back) == 0 {
		return
	}
	l.away.remember(back)
	l.rewind(l.withdraw(back))
	l.rewind(back[len(back)-1].rec.Seq)
}

// allot shares out the memory: each level may have three quarters of what those
// above it leave, so that there is always something left for the others, should
// what it holds not move.
func allot(levels []*level, left share) {
	for _, l := range levels {
		left.items -= l.busy.items
		left.bytes -= l.busy.bytes
	}
	for _, l := range levels { // left is without what is busy here and below
		left.items += l.busy.items
		left.bytes += l.busy.bytes
		l.limit, l.maxBytes = max(left.items*3/4, 1), max(left.bytes*3/4, 1)
		l.shrink()
		left.items -= len(l.items)
		left.bytes -= l.bytes
	}
}
