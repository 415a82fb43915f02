package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// asideEvent is an event with the time by which it is gathered, ns since 1970.
type asideEvent struct {
	*Event
	at int64
}

// pieceSize is how much of an event one value holds: a store does not take more
// than 256 KiB.
const pieceSize = 192 << 10

// shelfName stands for a key in the names of its events.
func shelfName(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

// eventName is where the n-th event of a row lies. Its further pieces have "/1",
// "/2" behind it.
func eventName(key string, row, n uint64) string {
	return shelfName(key) + "." + strconv.FormatUint(row, 36) + "." + strconv.FormatUint(n, 36)
}

func pieceName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "/" + strconv.Itoa(i)
}

// eventWrites put an event aside under a name.
func eventWrites(scope, name string, ev *Event, at int64) (list []Write) {
	value := encodeAside(ev, at)
	for i := 0; len(value) > 0; i++ {
		n := min(len(value), pieceSize)
		list = append(list, Write{Scope: scope, Key: pieceName(name, i), Value: value[:n:n]})
		value = value[n:]
	}
	return list
}

// dropPieces are the writes that take away what the event of so many bytes that
// lies under a name has more than one piece.
func dropPieces(scope, name string, size int64) (list []Write) {
	for i := 1; i <= int((size+pieceSize/2)/pieceSize); i++ {
		list = append(list, Write{Scope: scope, Key: pieceName(name, i)})
	}
	return list
}

// encodeAside writes an event: the number of bytes that follow (u32), format (1),
// time by which it is gathered (varint), then id, source, type, subject, content
// type and via, each with its length, the event's time (seconds and nanoseconds,
// varints), QoS, 1 if it was retained and 2 if its time was unsure, and the data.
// Numbers are little endian.
func encodeAside(ev *Event, at int64) []byte {
	texts := [...]string{ev.ID, ev.Source, ev.Type, ev.Subject, ev.ContentType, ev.Via}
	size := 40 + len(ev.Data)
	for _, text := range texts {
		size += len(text) + 2
	}
	b := append(make([]byte, 4, size), 1)
	b = binary.AppendVarint(b, at)
	for _, text := range texts {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	b = binary.AppendVarint(b, ev.Time.Unix())
	b = binary.AppendVarint(b, int64(ev.Time.Nanosecond()))
	flags := byte(0)
	if ev.Retained {
		flags |= asideRetained
	}
	if ev.Unsure {
		flags |= asideUnsure
	}
	b = append(append(b, ev.QoS, flags), ev.Data...)
	binary.LittleEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

const (
	asideRetained = 1 << iota
	asideUnsure
)

var errAside = errors.New("what was put aside cannot be read")

// decodeAside reads what encodeAside wrote.
func decodeAside(b []byte) (asideEvent, error) {
	if len(b) < 5 || int(binary.LittleEndian.Uint32(b)) != len(b)-4 || b[4] != 1 {
		return asideEvent{}, errAside
	}
	v := &varints{b: b[5:]}
	ev := &Event{}
	e := asideEvent{ev, v.int()}
	for _, text := range [...]*string{&ev.ID, &ev.Source, &ev.Type, &ev.Subject, &ev.ContentType, &ev.Via} {
		*text = string(v.bytes(v.len()))
	}
	seconds, nanos := v.int(), v.int()
	ev.Time = time.Unix(seconds, nanos).UTC()
	if ev.Time.IsZero() {
		ev.Time = time.Time{}
	}
	flags := v.bytes(2)
	if v.failed {
		return asideEvent{}, errAside
	}
	ev.QoS, ev.Retained, ev.Unsure, ev.Data = flags[0], flags[1]&asideRetained != 0, flags[1]&asideUnsure != 0, v.b
	return e, nil
}

// readAside reads the event under a name, and tells how many pieces it has; nil
// if it is gone.
func (w *worker) readAside(reads *readSet, scope, name string) (e asideEvent, pieces int, err error) {
	b, err := reads.peek(scope, name)
	if err != nil || b == nil {
		return e, 1, err
	}
	if len(b) < 4 {
		return e, 1, errAside
	}
	pieces = 1
	for size := 4 + int(binary.LittleEndian.Uint32(b)); len(b) < size; pieces++ {
		more, err := reads.peek(scope, pieceName(name, pieces))
		if err != nil {
			return e, pieces, err
		}
		if len(more) == 0 {
			return e, pieces, errAside
		}
		b = append(b[:len(b):len(b)], more...)
	}
	e, err = decodeAside(b)
	return e, pieces, err
}

// gathered is what becomes of events that were put aside together.
type gathered struct {
	rule          *gathering
	key           string
	start, end    int64
	late, partial bool
	events        []asideEvent // in the order of their times
	suffix        string       // tells apart what the same event is the last of
}

var gatherNames = [...]string{
	GatherBatch: "batch", GatherTumbling: "tumbling", GatherSliding: "sliding", GatherSession: "session", GatherDebounce: "debounce",
}

// ready is the record by which the function runs for what was gathered.
func (w *worker) ready(tr *compiled, g *gathered) Record {
	last := g.events[len(g.events)-1].Event
	rec := Record{
		Queue: QueueInbox(w.fn.Name), Kind: KindEvent, Key: g.key, Function: w.fn.Name, Trigger: tr.Name, Ready: true,
	}
	if g.rule.Kind == GatherDebounce {
		rec.Event = *last
		rec.Event.Origin, rec.Event.Answer = Origin{}, nil
	} else {
		rec.Event = Event{
			ID: last.ID + "/" + tr.Name + "/" + g.suffix, Source: "/" + w.fn.agent.opts.Device + "/" + tr.Name,
			Type: TypeGathered, Subject: last.Subject, Time: last.Time, Unsure: last.Unsure, ContentType: "application/json",
			Via: last.Via, QoS: 1, Data: g.json(),
		}
	}
	if tr.Unordered {
		rec.Key = rec.Event.ID
	}
	return rec
}

// json is the data of the event that stands for others.
func (g *gathered) json() []byte {
	size := 256
	for _, e := range g.events {
		size += 200 + len(e.Data)*4/3
	}
	b := make([]byte, 0, size)
	b = fmt.Appendf(b, `{"kind":%q,"key":`, gatherNames[g.rule.Kind])
	b = appendJSON(b, g.key)
	b = append(b, `,"start":`...)
	b = appendJSON(b, time.Unix(0, g.start).UTC())
	b = append(b, `,"end":`...)
	b = appendJSON(b, time.Unix(0, g.end).UTC())
	b = fmt.Appendf(b, `,"count":%d,"late":%t,"partial":%t,"events":[`, len(g.events), g.late, g.partial)
	for i, e := range g.events {
		if i > 0 {
			b = append(b, ',')
		}
		b = e.appendJSON(b)
	}
	return append(b, "]}"...)
}

func (e asideEvent) appendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = appendJSON(b, e.ID)
	b = append(b, `,"topic":`...)
	b = appendJSON(b, e.Subject)
	b = append(b, `,"time":`...)
	b = appendJSON(b, e.Time)
	if json.Valid(e.Data) {
		b = append(b, `,"data":`...)
		b = append(b, e.Data...)
		return append(b, '}')
	}
	b = append(b, `,"data_base64":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.Data)
	return append(b, `"}`...)
}

// appendJSON appends a value that can be marshalled: a text or a time.
func appendJSON(b []byte, v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // a time after the year 9999
		return append(b, "null"...)
	}
	return append(b, text...)
}
