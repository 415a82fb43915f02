package wasm

import (
	"log/slog"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// Fields of event_get. Number 6 is kept free for the properties of MQTT 5.
const (
	fieldData        = 0
	fieldSubject     = 1 // the MQTT topic
	fieldContentType = 2
	fieldTrigger     = 3
	fieldID          = 4
	fieldTime        = 5 // decimal milliseconds since 1970-01-01T00:00Z
	fieldSource      = 7
	fieldType        = 8
	fieldAttempt     = 9 // decimal, 1 for the first run
	fieldFunction    = 10
)

// eventGet (field, buf, cap) -> length of the field.
func eventGet(r *run, mem api.Memory, args []uint64) int64 {
	ev, buf := r.inv.Event, args[1:]
	switch uint32(args[0]) {
	case fieldData:
		return give(mem, buf, ev.Data)
	case fieldSubject:
		return giveString(mem, buf, ev.Subject)
	case fieldContentType:
		return giveString(mem, buf, ev.ContentType)
	case fieldTrigger:
		return giveString(mem, buf, r.inv.Trigger)
	case fieldID:
		return giveString(mem, buf, ev.ID)
	case fieldTime:
		return giveNumber(mem, buf, ev.Time.UnixMilli())
	case fieldSource:
		return giveString(mem, buf, ev.Source)
	case fieldType:
		return giveString(mem, buf, ev.Type)
	case fieldAttempt:
		return giveNumber(mem, buf, int64(r.inv.Attempt))
	case fieldFunction:
		return giveString(mem, buf, r.inv.Function.Name)
	}
	return errnoInvalid
}

// giveNumber gives n in decimal.
func giveNumber(mem api.Memory, buf []uint64, n int64) int64 {
	var text [20]byte
	return give(mem, buf, strconv.AppendInt(text[:0], n, 10))
}

// resultSet (ptr, len) -> error.
func resultSet(r *run, mem api.Memory, args []uint64) int64 {
	data, ok := take(mem, args)
	if !ok {
		return errnoInvalid
	}
	return r.errno(r.inv.SetResult(data))
}

// errorSet (ptr, len) -> error.
func errorSet(r *run, mem api.Memory, args []uint64) int64 {
	text, ok := takeText(mem, args)
	if !ok {
		return errnoInvalid
	}
	r.inv.SetError(text)
	return 0
}

// errorGet (buf, cap) -> length of why a call was refused, the last one; 0 if none was.
func errorGet(r *run, mem api.Memory, args []uint64) int64 {
	return giveString(mem, args, r.refusal)
}

var logLevels = []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}

// logLine (level, ptr, len) -> error. Lines beyond the limit are counted, not refused.
func logLine(r *run, mem api.Memory, args []uint64) int64 {
	level := uint32(args[0])
	text, ok := take(mem, args[1:])
	if !ok || uint64(level) >= uint64(len(logLevels)) {
		return errnoInvalid
	}
	r.log(logLevels[level], text)
	return 0
}

// log keeps a line of the guest's. Behind the first that is dropped all are: a
// flood is not worth a copy of each.
func (r *run) log(level slog.Level, line []byte) {
	if fx := &r.inv.Effects; fx.Dropped > 0 {
		fx.Dropped++
		return
	}
	r.inv.Log(level, short(line))
}

// configGet (key, len, buf, cap) -> length of the value.
func configGet(r *run, mem api.Memory, args []uint64) int64 {
	key, ok := takeName(r, mem, args)
	if !ok {
		return errnoInvalid
	}
	value, ok := r.inv.Config(key)
	if !ok {
		return errnoNotFound
	}
	return giveString(mem, args[2:], value)
}

// secretGet (name, len, buf, cap) -> length of the value.
func secretGet(r *run, mem api.Memory, args []uint64) int64 {
	name, ok := takeName(r, mem, args)
	if !ok {
		return errnoInvalid
	}
	value, err := r.inv.Secret(name)
	if err != nil {
		return r.errno(err)
	}
	return giveString(mem, args[2:], value)
}

// randomGet (ptr, len) -> error. The bytes are truly random.
func randomGet(r *run, mem api.Memory, args []uint64) int64 {
	buf, ok := take(mem, args)
	if !ok {
		return errnoInvalid
	}
	_, err := r.Read(buf)
	return r.errno(err)
}

// sleepMillis (milliseconds) -> error. It ends with the run's time at the latest.
func sleepMillis(r *run, _ api.Memory, args []uint64) int64 {
	r.sleep(int64(uint32(args[0])) * int64(time.Millisecond))
	return 0
}

// nowMillis () -> milliseconds since 1970-01-01T00:00Z.
func nowMillis(r *run, _ api.Memory, _ []uint64) int64 { return r.time().UnixMilli() }
