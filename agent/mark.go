package agent

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"strings"
)

// A mark says that a trigger has a durable outcome for the event that last
// came in a slot. It is written in the same frame as that outcome, and read
// only when the source says that it delivers something again. The next event in
// the slot takes its place, so their number is bounded by the packet ids a broker
// can use.
//
// Brokers count packet ids up, so the marks of eight neighbouring slots share one
// value: a group writes a few of those instead of one for each outcome. A spilled
// event, which is written beside the groups, has a value of its own under slot
// and trigger; so has what a block of maxBlock has no room for.
const (
	markScope  = "mark"
	blockScope = "marks"
	blockSlots = 8
)

// mark is one outcome to keep in mind.
type mark struct {
	trigger uint64 // hash of its name
	hash    uint64 // of the event, see Origin
	id      string // of the event
}

func markOf(ev *Event, trigger string) mark { return mark{triggerHash(trigger), ev.Origin.Hash, ev.ID} }

func triggerHash(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

func markKey(slot, trigger string) string {
	return slot + "/" + strconv.FormatUint(triggerHash(trigger), 36)
}

// markWrite is the mark of one spilled event.
func markWrite(ev *Event, trigger string) Write {
	value := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(ev.ID)), ev.Origin.Hash)
	return Write{Scope: markScope, Key: markKey(ev.Origin.Slot, trigger), Value: append(value, ev.ID...)}
}

// blockOf is the key of the value that holds the marks of slot, and the place of
// slot in it. A slot that does not end in a number has a value for itself.
func blockOf(slot string) (key string, place byte) {
	at := strings.LastIndexByte(slot, '/') + 1
	n, err := strconv.ParseUint(slot[at:], 10, 32)
	if err != nil {
		return slot, 0
	}
	return slot[:at] + strconv.FormatUint(n/blockSlots, 10), byte(n % blockSlots)
}

// An entry of a block: place, trigger and hash (little endian), the length of the
// id, the id.
const markHead = 1 + 8 + 8 + 1

// eachMark calls f with the marks in a block, and the bytes of each.
func eachMark(block []byte, f func(place byte, m mark, entry []byte)) {
	for len(block) >= markHead {
		n := markHead + int(block[markHead-1])
		if n > len(block) {
			return // no block of ours
		}
		entry := block[:n]
		f(entry[0], mark{
			trigger: binary.LittleEndian.Uint64(entry[1:]), hash: binary.LittleEndian.Uint64(entry[9:]),
			id: string(entry[markHead:]),
		}, entry)
		block = block[n:]
	}
}

// remember returns block with m at place, as a value of its own. Marks of other
// events in that place are over.
func remember(block []byte, place byte, m mark) []byte {
	out := make([]byte, 0, len(block)+markHead+len(m.id))
	eachMark(block, func(at byte, old mark, entry []byte) {
		if at != place || old.id == m.id && old.trigger != m.trigger {
			out = append(out, entry...)
		}
	})
	out = append(out, place)
	out = binary.LittleEndian.AppendUint64(out, m.trigger)
	out = binary.LittleEndian.AppendUint64(out, m.hash)
	out = append(out, byte(len(m.id)))
	return append(out, m.id...)
}

// What fits into a block: ids of so many bytes, and so many bytes of marks. An event
// may match any number of triggers, while a store bounds what a value may take.
const (
	maxMarkID = 255
	maxBlock  = 32 << 10
)

// unmarked drops the routes that have a durable outcome for this redelivered
// event already, and gives the event the id it had then.
//
// A slot may still hold a mark of an older, identical event for a trigger that
// the newer one has not reached; the newest id found (they sort by age, see
// ids) decides which event came again. Newest is the one that the agent died in, "" if
// it did not.
func unmarked(view View, ev *Event, routes []*route, newest string) ([]*route, error) {
	key, place := blockOf(ev.Origin.Slot)
	block, err := view.Get(blockScope, key)
	if err != nil {
		return nil, err
	}
	inBlock := map[uint64]string{}
	eachMark(block, func(at byte, m mark, _ []byte) {
		if at == place && m.hash == ev.Origin.Hash {
			inBlock[m.trigger] = m.id
		}
	})
	ids := make([]string, len(routes))
	for i, rt := range routes {
		ids[i] = inBlock[triggerHash(rt.trigger.Name)]
		value, err := view.Get(markScope, markKey(ev.Origin.Slot, rt.trigger.Name))
		if err != nil {
			return nil, err
		}
		if len(value) >= 8 && binary.LittleEndian.Uint64(value) == ev.Origin.Hash {
			ids[i] = max(ids[i], string(value[8:]))
		}
		newest = max(newest, ids[i])
	}
	if newest == "" {
		return routes, nil
	}
	ev.ID = newest
	left := routes[:0]
	for i, rt := range routes {
		if ids[i] != newest {
			left = append(left, rt)
		}
	}
	return left, nil
}
