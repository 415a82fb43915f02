package agent

import (
	"hash/maphash"
	"math/bits"
)

// fewWrites are looked through one by one: quicker than an index, and without memory.
const fewWrites = 32

// writeIndex finds the writes of a run by their keys: an open hash table of
// positions, since a map of strings is work for the garbage collector with
// every run that writes much. It may be behind what was written since it was
// looked at.
type writeIndex struct {
	slots   []int32 // position + 1; 0: free. A power of two, at least twice the writes
	indexed int     // so many of the writes are in it
}

// find is the position of the write of key, or -1.
func (x *writeIndex) find(writes []Write, key string) int {
	if len(writes) <= fewWrites {
		for i := range writes {
			if writes[i].Key == key {
				return i
			}
		}
		return -1
	}
	if 2*len(writes) > len(x.slots) {
		x.slots, x.indexed = make([]int32, 4<<bits.Len(uint(len(writes)))), 0
	}
	for ; x.indexed < len(writes); x.indexed++ {
		x.slots[x.slot(writes, writes[x.indexed].Key)] = int32(x.indexed) + 1
	}
	return int(x.slots[x.slot(writes, key)]) - 1
}

// slot is where key is, or where there is room for it.
func (x *writeIndex) slot(writes []Write, key string) uint64 {
	mask := uint64(len(x.slots) - 1)
	at := maphash.String(hashSeed, key) & mask
	for n := x.slots[at]; n != 0 && writes[n-1].Key != key; n = x.slots[at] {
		at = (at + 1) & mask
	}
	return at
}

// forget empties the index, and gives a large one back unless it is kept.
func (x *writeIndex) forget(keep bool) {
	if !keep && len(x.slots) > 4*keptEffects {
		x.slots = nil
	}
	if x.indexed > 0 {
		clear(x.slots)
	}
	x.indexed = 0
}
