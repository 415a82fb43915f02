package agent

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// gateState is what a gate keeps of one key. On disk:
//
//	has (1 byte) · at (8) · values (16, if has) · number (8, if has) · log: until (8), n (uvarint), …
//
// with all numbers little endian.
type gateState struct {
	has    byte
	at     int64     // when it last let an event through, by the agent's Clock, ns
	values [16]byte  // hash of what OnChange yielded then
	number float64   // that Deadband.Of was then
	log    []through // for Rate, oldest first
}

// through is that n events passed, which count until then, by the agent's Clock, ns.
type through struct {
	until int64
	n     uint64
}

const (
	hasValues = 1 << iota
	hasNumber
	hasLog
)

func gateHas(tr *compiled) (has byte) {
	if len(tr.onChange) > 0 {
		has |= hasValues
	}
	if tr.deadband != nil {
		has |= hasNumber
	}
	if tr.Gate.Rate.Count > 0 {
		has |= hasLog
	}
	return has
}

func (g *gateState) encode() []byte {
	b := make([]byte, 0, 1+8+16+8+len(g.log)*10)
	b = append(b, g.has)
	b = binary.LittleEndian.AppendUint64(b, uint64(g.at))
	if g.has&hasValues != 0 {
		b = append(b, g.values[:]...)
	}
	if g.has&hasNumber != 0 {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(g.number))
	}
	for _, e := range g.log {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.until))
		b = binary.AppendUvarint(b, e.n)
	}
	return b
}

// decodeGate reads what encode wrote; nothing, and what is none of it, is a gate
// that has seen no event.
func decodeGate(b []byte) (g gateState) {
	if len(b) < 9 {
		return gateState{}
	}
	g.has, g.at = b[0], int64(binary.LittleEndian.Uint64(b[1:]))
	b = b[9:]
	if g.has&hasValues != 0 {
		if len(b) < len(g.values) {
			return gateState{}
		}
		b = b[copy(g.values[:], b):]
	}
	if g.has&hasNumber != 0 {
		if len(b) < 8 {
			return gateState{}
		}
		g.number, b = math.Float64frombits(binary.LittleEndian.Uint64(b)), b[8:]
	}
	for len(b) > 8 {
		n, size := binary.Uvarint(b[8:])
		if size <= 0 {
			break
		}
		g.log = append(g.log, through{int64(binary.LittleEndian.Uint64(b)), n})
		b = b[8+size:]
	}
	return g
}

// still is the part of the log that counts yet. Its entries may be of both of the
// times that a Clock knows, so that they need not be in order.
func (g *gateState) still(past func(time.Time) bool) []through {
	return slices.DeleteFunc(g.log, func(e through) bool { return past(time.Unix(0, e.until)) })
}

func seen(log []through) (n int) {
	for _, e := range log {
		n += int(e.n)
	}
	return n
}

// maxLog is how many events a log keeps each by itself. Of a higher rate those
// within a 64th of the time share an entry and count until the last of them does
// not: never too many pass, and at most a 64th of the time too late.
const maxLog = 64

// enter notes that an event passes.
func (g *gateState) enter(until int64, rate Rate) {
	grain := int64(rate.Per / maxLog)
	if n := len(g.log); rate.Count > maxLog && n > 0 && grain > 0 && g.log[n-1].until/grain == until/grain {
		g.log[n-1] = through{until, g.log[n-1].n + 1}
		return
	}
	g.log = append(g.log, through{until, 1})
}
