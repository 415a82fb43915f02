package skerry

import (
	"encoding/binary"
	"errors"
	"time"
)

func field(which uint32, buf []byte) []byte {
	b, _ := read(buf, func(b []byte) int32 { return hostEventGet(which, b) })
	return b // a field that is not there is empty
}

func text(which uint32) string {
	var buf [128]byte
	return string(field(which, buf[:0]))
}

func setError(text string) { hostErrorSet(text) }

// Result sets the function's result, which the trigger's "then" may send on.
func Result(data []byte) error { return check("set the result", hostResultSet(data)) }

// Log writes a line to the function's log.
func Log(level Level, line string) { hostLog(uint32(level), line) }

// Config is a value of the function's env, "" if it is not set.
func Config(key string) string {
	b, _ := read(nil, func(b []byte) int32 { return hostConfigGet(key, b) })
	return string(b)
}

// Secret is the value of a secret that the function's manifest names.
func Secret(name string) (string, error) {
	b, n := read(nil, func(b []byte) int32 { return hostSecretGet(name, b) })
	return string(b), check("secret "+name, n)
}

// Publish sends data to an MQTT topic.
func Publish(topic string, data []byte, flags Flag) error {
	return check("publish to "+topic, hostPublish(topic, data, uint32(flags)))
}

// Emit gives another function of the same app an event.
func Emit(function string, data []byte) error {
	return check("emit to "+function, hostEmit(function, data))
}

// Followup asks the central FaaS behind target to do something.
func Followup(target, contentType string, data []byte) error {
	return check("follow-up to "+target, hostFollowup(target, contentType, data))
}

// Get reads the function's state; ErrNotFound if there is no such key.
func Get(key string) ([]byte, error) {
	b, n := read(nil, func(b []byte) int32 { return hostKVGet(key, b) })
	return b, check("get "+key, n)
}

// Set writes the function's state. A ttl of 0 keeps it for ever; others are
// rounded up to seconds.
func Set(key string, value []byte, ttl time.Duration) error {
	seconds := (ttl + time.Second - 1) / time.Second
	if seconds < 0 || seconds > 1<<32-1 {
		return check("set "+key, -1)
	}
	return check("set "+key, hostKVSet(key, value, uint32(seconds)))
}

// Delete removes a key; removing what is not there is no error.
func Delete(key string) error { return check("delete "+key, hostKVDelete(key)) }

// Add adds delta to the decimal integer in key, 0 if there is none.
func Add(key string, delta int64) (int64, error) {
	sum := hostKVAdd(key, delta)
	if sum == -1<<63 {
		return 0, errors.New("add to " + key + " failed")
	}
	return sum, nil
}

// CompareAndSet writes value if key holds old (nil: is absent) and tells whether it did.
func CompareAndSet(key string, old, value []byte) (bool, error) {
	n := hostKVCompareAndSet(key, old, value)
	return n == 1, check("compare and set "+key, n)
}

// Keys lists at most limit keys that start with prefix, sorted; 0 means 1000,
// which is also the most.
func Keys(prefix string, limit int) ([]string, error) {
	b, n := read(nil, func(b []byte) int32 { return hostKVList(prefix, uint32(max(limit, 0)), b) })
	if n < 0 {
		return nil, check("list "+prefix, n)
	}
	var keys []string
	for len(b) >= 2 {
		n := int(binary.LittleEndian.Uint16(b))
		keys = append(keys, string(b[2:2+n]))
		b = b[2+n:]
	}
	return keys, nil
}
