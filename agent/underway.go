package agent

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
)

// underway is memory that outlives the process (Options.Underway): in it stands
// which runs there are just now, so that the next start knows what the agent died of.
//
// It has a place of 1024 bytes for each worker, as long as there are any, behind one
// with a magic number and the name of this life of the agent, which is random. A place,
// numbers little endian: 1 while a run is under way (8 bits, then 8 of nothing); how
// long function, version, trigger, event id and Origin.Slot are (16 bits each; 32 of
// nothing); Origin.Hash (64 bits); those five texts, one behind the other.
//
// It is written by stores to memory alone: the kernel keeps them whatever becomes of
// the process. Nothing orders them, and nothing needs to: what a crash tore names no
// event that there is.
type underway struct {
	mem  []byte
	mu   sync.Mutex
	free []int // places
}

const (
	underwayMagic = "skerry, under way: 1\n"
	lifeSize      = 16
	placeSize     = 1024
	placeHead     = 24
)

// A text of a place, in the order of their lengths.
const (
	placeFunction = iota
	placeVersion
	placeTrigger
	placeEvent
	placeSlot
	placeTexts
)

func newUnderway(mem []byte) *underway {
	u := &underway{mem: mem}
	for i := len(mem)/placeSize - 1; i > 0; i-- {
		u.free = append(u.free, i)
	}
	return u
}

// ran is a run that was under way when the agent died.
type ran struct {
	deathKey
	origin Origin
}

// past gives what was under way in the life before, which had that name.
func (u *underway) past(log *slog.Logger) (life string, runs []ran) {
	p := place{log: log}
	defer p.guard(debug.SetPanicOnFault(true)) // a disk may fail to read, too
	if len(u.mem) < placeSize || !bytes.HasPrefix(u.mem, []byte(underwayMagic)) {
		return "", nil
	}
	life = string(u.mem[len(underwayMagic):][:lifeSize])
	for at := placeSize; at+placeSize <= len(u.mem); at += placeSize {
		if r, ok := readPlace(u.mem[at : at+placeSize]); ok {
			runs = append(runs, r)
		}
	}
	return life, runs
}

func readPlace(mem []byte) (r ran, ok bool) {
	if mem[0] != 1 {
		return ran{}, false
	}
	rest := mem[placeHead:]
	var texts [placeTexts]string
	for i := range texts {
		n := int(binary.LittleEndian.Uint16(mem[2+2*i:]))
		if n > len(rest) {
			return ran{}, false
		}
		texts[i], rest = string(rest[:n]), rest[n:]
	}
	r.deathKey = deathKey{texts[placeFunction], texts[placeVersion], texts[placeTrigger], texts[placeEvent]}
	r.origin = Origin{Slot: texts[placeSlot], Hash: binary.LittleEndian.Uint64(mem[16:])}
	return r, r.event != ""
}

// renew begins another life, in which nothing runs yet.
func (u *underway) renew(log *slog.Logger) {
	if len(u.mem) < placeSize {
		return
	}
	p := place{log: log}
	defer p.guard(debug.SetPanicOnFault(true))
	for at := placeSize; at < len(u.mem); at += placeSize {
		if u.mem[at] != 0 { // leaves pages alone that nobody used
			u.mem[at] = 0
		}
	}
	copy(u.mem[copy(u.mem, underwayMagic):], rand.Text()[:lifeSize])
}

// place is where one worker notes the run that it is in.
type place struct {
	mem   []byte // nil: it notes nothing
	index int
	fixed int // where the texts begin that differ from run to run
	log   *slog.Logger
}

// take gives a worker of fn a place; if there is none left, one that notes nothing.
func (u *underway) take(fn *function) (p place) {
	u.mu.Lock()
	defer u.mu.Unlock()
	version, log := fn.Version(), fn.agent.opts.Log
	p.fixed = placeHead + len(fn.Name) + len(version)
	if len(u.free) == 0 || p.fixed > placeSize {
		return place{}
	}
	last := len(u.free) - 1
	p.index, p.log, u.free = u.free[last], log, u.free[:last]
	p.mem = u.mem[p.index*placeSize:][:placeSize:placeSize]
	defer p.guard(debug.SetPanicOnFault(true))
	p.mem[0] = 0
	p.text(placeFunction, placeHead, fn.Name)
	p.text(placeVersion, placeHead+len(fn.Name), version)
	return p
}

// give returns the place of a worker that has ended.
func (u *underway) give(p *place) {
	if p.index == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.free = append(u.free, p.index)
	slices.SortFunc(u.free, func(a, b int) int { return b - a }) // the first again: few pages are written
}

// begin notes a run. One whose names do not fit is not noted.
func (p *place) begin(ev *Event, trigger string) {
	at := p.fixed
	if at+len(trigger)+len(ev.ID)+len(ev.Origin.Slot) > len(p.mem) {
		return
	}
	defer p.guard(debug.SetPanicOnFault(true))
	binary.LittleEndian.PutUint64(p.mem[16:], ev.Origin.Hash)
	at = p.text(placeTrigger, at, trigger)
	at = p.text(placeEvent, at, ev.ID)
	p.text(placeSlot, at, ev.Origin.Slot)
	p.mem[0] = 1
}

// end notes that the run is over.
func (p *place) end() {
	if len(p.mem) == 0 {
		return
	}
	defer p.guard(debug.SetPanicOnFault(true))
	p.mem[0] = 0
}

func (p *place) text(which, at int, text string) (next int) {
	binary.LittleEndian.PutUint16(p.mem[2+2*which:], uint16(len(text)))
	return at + copy(p.mem[at:], text)
}

// guard is for the end of what touches the memory. Some file systems have no room for a
// page that was there before, when the disk is full: then the write faults, and this
// place notes nothing from then on. Without it, the process would die.
func (p *place) guard(was bool) {
	debug.SetPanicOnFault(was)
	if fault := recover(); fault != nil {
		p.mem = nil
		p.log.Warn("cannot note which runs are under way: should the agent die, it is not known of what", "err", fault)
	}
}
