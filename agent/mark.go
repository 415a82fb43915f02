package agent

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
)

// A mark says that a trigger has a durable outcome for the event that last
// came in a slot. It is written in the same frame as that outcome, and read
// only when the source says that it delivers something again. One key per slot
// and trigger, overwritten by the next event in that slot, so their number is
// bounded by the packet ids a broker can use.
const markScope = "mark"

func markKey(slot, trigger string) string {
	h := fnv.New64a()
	h.Write([]byte(trigger))
	return slot + "/" + strconv.FormatUint(h.Sum64(), 36)
}

// markWrite is the mark of one outcome.
func markWrite(ev *Event, trigger string) Write {
	value := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(ev.ID)), ev.Origin.Hash)
	return Write{Scope: markScope, Key: markKey(ev.Origin.Slot, trigger), Value: append(value, ev.ID...)}
}

// unmarked drops the routes that have a durable outcome for this redelivered
// event already, and gives the event the id it had then.
//
// A slot may still hold a mark of an older, identical event for a trigger that
// the newer one has not reached; the newest id found (they sort by age, see
// ids) decides which event came again.
func unmarked(view View, ev *Event, routes []*route) ([]*route, error) {
	ids := make([]string, len(routes))
	newest := ""
	for i, rt := range routes {
		value, err := view.Get(markScope, markKey(ev.Origin.Slot, rt.trigger.Name))
		if err != nil {
			return nil, err
		}
		if len(value) < 8 || binary.LittleEndian.Uint64(value) != ev.Origin.Hash {
			continue
		}
		ids[i] = string(value[8:])
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
