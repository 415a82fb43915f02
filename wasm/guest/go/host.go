package skerry

import "time"

func field(which uint32, buf []byte) []byte {
	b, _ := read(buf, func(b []byte) int32 { return hostEventGet(which, b) })
	return b // a field that is not there is empty
}

func text(which uint32) string {
	scratch = field(which, scratch)
	return string(scratch)
}

// Result sets the function's result, which the trigger's "then" may send on.
func Result(data []byte) error { return check("set the result", "", hostResultSet(data)) }

// Log writes a line to the function's log.
func Log(level Level, line string) { hostLog(uint32(level), line) }

// Config is a value of the function's env, "" if it is not set.
func Config(key string) string {
	value, _ := LookupConfig(key)
	return value
}

// LookupConfig is Config that tells whether the key is set.
func LookupConfig(key string) (string, bool) {
	b, n := readScratch(func(b []byte) int32 { return hostConfigGet(key, b) })
	return string(b), n >= 0
}

// Secret is the value of a secret that the function's manifest names.
func Secret(name string) (string, error) {
	b, n := readScratch(func(b []byte) int32 { return hostSecretGet(name, b) })
	return string(b), check("secret ", name, n)
}

// Publish sends data to an MQTT topic.
func Publish(topic string, data []byte, flags Flag) error {
	return check("publish to ", topic, hostPublish(topic, data, uint32(flags)))
}

// Emit gives another function of the same app an event.
func Emit(function string, data []byte) error {
	return check("emit to ", function, hostEmit(function, data))
}

// Followup asks the central FaaS behind target to do something.
func Followup(target, contentType string, data []byte) error {
	return check("follow-up to ", target, hostFollowup(target, contentType, data))
}

// Random fills b with true random bytes, at most 64 KiB.
func Random(b []byte) error { return check("random bytes", "", hostRandom(b)) }

// Sleep pauses the run, no longer than its deadline.
func Sleep(d time.Duration) error {
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return check("sleep", "", hostSleep(uint32(min(max(ms, 0), 1<<31-1))))
}

// Get reads the function's state; ErrNotFound if there is no such key.
func Get(key string) ([]byte, error) {
	b, n := readScratch(func(b []byte) int32 { return hostKVGet(key, b) })
	if n < 0 {
		return nil, check("get ", key, n)
	}
	return append([]byte{}, b...), nil
}

// Set writes the function's state. A ttl of 0 keeps it for ever; others are
// rounded up to seconds. Keys are UTF-8 of up to 256 bytes and do not start
// with "/".
func Set(key string, value []byte, ttl time.Duration) error {
	seconds := (ttl + time.Second - 1) / time.Second
	if seconds < 0 || seconds > 1<<32-1 {
		return &worded{"set " + key + ": the ttl is negative or over 136 years", ErrInvalid}
	}
	return check("set ", key, hostKVSet(key, value, uint32(seconds)))
}

// Delete removes a key; removing what is not there is no error.
func Delete(key string) error { return check("delete ", key, hostKVDelete(key)) }

// Add adds delta to the decimal integer in key, 0 if there is none.
func Add(key string, delta int64) (int64, error) {
	sum := hostKVAdd(key, delta)
	if sum == -1<<63 {
		return 0, refusal("add to ", key, ErrInvalid)
	}
	return sum, nil
}

// CompareAndSet writes value if key holds old (nil: is absent) and tells whether it did.
func CompareAndSet(key string, old, value []byte) (bool, error) {
	n := hostKVCompareAndSet(key, old, value)
	return n == 1, check("compare and set ", key, n)
}

// Keys lists at most limit keys that start with prefix, sorted; 0 means 1000,
// which is also the most.
func Keys(prefix string, limit int) ([]string, error) {
	b, n := readScratch(func(b []byte) int32 { return hostKVList(prefix, uint32(max(limit, 0)), b) })
	var keys []string
	for len(b) >= 2 { // its length, low byte first, and the key
		n := 2 + int(b[0]) + int(b[1])<<8
		keys = append(keys, string(b[2:n]))
		b = b[n:]
	}
	return keys, check("list ", prefix, n)
}
