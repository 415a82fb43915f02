package store

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// A stored record is the CRC32C of its body (4 bytes) and the body. Its
// position in the journal gives the sequence. Attempts and NotBefore in the
// body are those of the first commit; the index knows the present ones.

const (
	flagRetain = 1 << iota
	flagRetained
	flagRedelivered
	flagReady
	flagUnsure
	flagLatest
	flagShed
	flagTrace                // the event's stands behind its data
	knownFlags = 1<<iota - 1 // all eight
)

// appendRecord encodes r with its checksum.
func appendRecord(b []byte, r *agent.Record) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0)
	b = appendString(b, r.Queue)
	b = binary.AppendUvarint(b, uint64(max(r.Attempts, 0)))
	b = appendTime(b, r.NotBefore)
	b = append(b, byte(r.Kind), r.Priority, r.Event.QoS, recordFlags(r))
	b = appendString(b, r.Key)
	b = appendString(b, r.Function)
	b = appendString(b, r.Trigger)
	b = appendTime(b, r.Expires)
	b = appendString(b, r.Reason)
	b = appendString(b, r.Origin)
	b = appendEvent(b, &r.Event)
	if r.Event.Trace != "" {
		b = appendString(b, r.Event.Trace)
	}
	binary.LittleEndian.PutUint32(b[start:], checksum(b[start+4:]))
	return b
}

func recordFlags(r *agent.Record) (flags byte) {
	if r.Retain {
		flags |= flagRetain
	}
	if r.Event.Retained {
		flags |= flagRetained
	}
	if r.Event.Origin.Redelivered {
		flags |= flagRedelivered
	}
	if r.Ready {
		flags |= flagReady
	}
	if r.Event.Unsure {
		flags |= flagUnsure
	}
	if r.Latest {
		flags |= flagLatest
	}
	if r.Shed {
		flags |= flagShed
	}
	if r.Event.Trace != "" {
		flags |= flagTrace
	}
	return flags
}

func appendEvent(b []byte, e *agent.Event) []byte {
	b = appendString(b, e.ID)
	b = appendString(b, e.Source)
	b = appendString(b, e.Type)
	b = appendString(b, e.Subject)
	b = appendTime(b, e.Time)
	b = appendString(b, e.ContentType)
	b = appendString(b, e.Via)
	b = appendString(b, e.Origin.Slot)
	b = binary.LittleEndian.AppendUint64(b, e.Origin.Hash)
	return appendBlock(b, e.Data)
}

// decodeRecord decodes and verifies what appendRecord wrote; it copies.
func decodeRecord(b []byte) (agent.Record, error) {
	if !recordIntact(b) {
		return agent.Record{}, fmt.Errorf("record: %w", errDamaged)
	}
	r := reader{b: b, off: 4}
	rec := agent.Record{Queue: r.string(), Attempts: r.small(), NotBefore: r.time()}
	rec.Kind, rec.Priority, rec.Event.QoS = agent.RecordKind(r.byte()), r.byte(), r.byte()
	flags := r.byte()
	rec.Key, rec.Function, rec.Trigger = r.string(), r.string(), r.string()
	rec.Expires = r.time()
	rec.Reason, rec.Origin = r.string(), r.string()
	readEvent(&r, &rec.Event)
	if flags&flagTrace != 0 {
		rec.Event.Trace = r.string()
	}
	rec.Retain = flags&flagRetain != 0
	rec.Event.Retained = flags&flagRetained != 0
	rec.Event.Origin.Redelivered = flags&flagRedelivered != 0
	rec.Ready = flags&flagReady != 0
	rec.Event.Unsure = flags&flagUnsure != 0
	rec.Latest = flags&flagLatest != 0
	rec.Shed = flags&flagShed != 0
	if r.bad || r.left() > 0 {
		return agent.Record{}, fmt.Errorf("record: %w", errDamaged)
	}
	return rec, nil
}

func readEvent(r *reader, e *agent.Event) {
	e.ID, e.Source, e.Type, e.Subject = r.string(), r.string(), r.string(), r.string()
	e.Time = r.time()
	e.ContentType, e.Via = r.string(), r.string()
	e.Origin.Slot = r.string()
	e.Origin.Hash = r.uint64()
	e.Data = bytes.Clone(r.block())
}

func recordIntact(b []byte) bool {
	return len(b) >= 4 && binary.LittleEndian.Uint32(b) == checksum(b[4:])
}

// recordHead reads what the index keeps of a stored record.
func recordHead(b []byte, rec *place) bool {
	if len(b) < 4 {
		return false
	}
	r := reader{b: b, off: 4}
	rec.queue, rec.attempts, rec.notBefore = r.string(), r.small(), r.time()
	return !r.bad
}
