package store

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// place is a record within an encoded payload.
type place struct {
	seq       uint64
	off, n    uint32 // of the stored record (checksum and body) in the payload
	queue     string
	attempts  int
	notBefore time.Time
}

// payload is what one frame carries: an agent.Frame, and records that were
// moved forward out of an old segment and keep their sequence.
type payload struct {
	first  uint64 // sequence of the first added record; the next free one if there is none
	add    []place
	moved  []place
	done   []uint64
	touch  []agent.Touch
	writes []agent.Write
}

func (p *payload) reset() {
	clear(p.add)
	clear(p.moved)
	clear(p.writes)
	p.first = 0
	p.add, p.moved, p.done = p.add[:0], p.moved[:0], p.done[:0]
	p.touch, p.writes = p.touch[:0], p.writes[:0]
}

// moving is a stored record on its way to a newer segment.
type moving struct {
	place
	stored []byte
}

// appendPayload encodes f and moved behind b and notes in p where each record
// lies. The sequence of the first record is filled in later, by setFirst.
func appendPayload(b []byte, f *agent.Frame, moved []moving, p *payload) []byte {
	start := len(b)
	b = append(b, make([]byte, 8)...)
	b = appendAdds(b, start, f.Add, p)
	b = appendMoved(b, start, moved, p)
	b = binary.AppendUvarint(b, uint64(len(f.Done)))
	for _, seq := range f.Done {
		b = binary.AppendUvarint(b, seq)
	}
	b = appendTouches(b, f.Touch)
	p.done = append(p.done, f.Done...)
	p.touch = append(p.touch, f.Touch...)
	p.writes = append(p.writes, f.Writes...)
	return appendWrites(b, f.Writes)
}

func appendAdds(b []byte, start int, add []agent.Record, p *payload) []byte {
	b = binary.AppendUvarint(b, uint64(len(add)))
	for i := range add {
		rec := &add[i]
		// The length comes before a body whose length is not known yet: four
		// bytes are kept for it, so that nothing has to be moved.
		at := len(b)
		b = appendRecord(append(b, 0, 0, 0, 0), rec)
		n := uint32(len(b) - at - 4)
		binary.LittleEndian.PutUint32(b[at:], n)
		p.add = append(p.add, place{
			off: uint32(at + 4 - start), n: n,
			queue: rec.Queue, attempts: max(rec.Attempts, 0), notBefore: rec.NotBefore,
		})
	}
	return b
}

func appendMoved(b []byte, start int, moved []moving, p *payload) []byte {
	b = binary.AppendUvarint(b, uint64(len(moved)))
	for i := range moved {
		m := &moved[i]
		b = binary.AppendUvarint(b, m.seq)
		b = binary.AppendUvarint(b, uint64(m.attempts))
		b = appendTime(b, m.notBefore)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(m.stored)))
		pl := m.place
		pl.off, pl.n = uint32(len(b)-start), uint32(len(m.stored))
		p.moved = append(p.moved, pl)
		b = append(b, m.stored...)
	}
	return b
}

func appendTouches(b []byte, touch []agent.Touch) []byte {
	b = binary.AppendUvarint(b, uint64(len(touch)))
	for i := range touch {
		b = binary.AppendUvarint(b, touch[i].Seq)
		b = binary.AppendUvarint(b, uint64(max(touch[i].Attempts, 0)))
		b = appendTime(b, touch[i].NotBefore)
	}
	return b
}

// touches is the inverse of appendTouches.
func (r *reader) touches() []agent.Touch {
	touch := make([]agent.Touch, 0, r.count(3))
	for range cap(touch) {
		touch = append(touch, agent.Touch{Seq: r.uvarint(), Attempts: r.small(), NotBefore: r.time()})
	}
	return touch
}

func appendWrites(b []byte, writes []agent.Write) []byte {
	b = binary.AppendUvarint(b, uint64(len(writes)))
	for i := range writes {
		w := &writes[i]
		b = appendString(b, w.Scope)
		b = appendString(b, w.Key)
		b = appendTime(b, w.Expires)
		b = appendBlock(b, w.Value)
	}
	return b
}

// setFirst gives the added records their sequences, from first on.
func (p *payload) setFirst(b []byte, first uint64) {
	binary.LittleEndian.PutUint64(b, first)
	p.first = first
	for i := range p.add {
		p.add[i].seq = first + uint64(i)
	}
}

// parsePayload is the inverse of appendPayload. Values in p point into b.
func parsePayload(b []byte, p *payload) error {
	p.reset()
	r := reader{b: b}
	p.first = r.uint64()
	for i := range r.count(8) {
		pl := place{seq: p.first + uint64(i)}
		readStored(&r, &pl)
		p.add = append(p.add, pl)
	}
	for range r.count(8) {
		pl := place{seq: r.uvarint()}
		attempts, notBefore := r.small(), r.time()
		readStored(&r, &pl)
		pl.attempts, pl.notBefore = attempts, notBefore
		p.moved = append(p.moved, pl)
	}
	for range r.count(1) {
		p.done = append(p.done, r.uvarint())
	}
	p.touch = append(p.touch, r.touches()...)
	for range r.count(4) {
		p.writes = append(p.writes, agent.Write{Scope: r.string(), Key: r.string(), Expires: r.time(), Value: r.block()})
	}
	if r.bad || r.left() > 0 {
		return fmt.Errorf("frame payload: %w", errDamaged)
	}
	return nil
}

// readStored takes one stored record and its place.
func readStored(r *reader, pl *place) {
	n := r.take(4)
	if n == nil {
		return
	}
	pl.n = binary.LittleEndian.Uint32(n)
	pl.off = uint32(r.off)
	stored := r.take(uint64(pl.n))
	if !recordHead(stored, pl) {
		r.fail()
	}
}
