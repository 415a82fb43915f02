package wasm

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tetratelabs/wazero/api"
)

// absent as the length of kv_cas's old value means that the key must not exist.
const absent = math.MaxUint32

const (
	maxListed     = 1000 // keys that one kv_list answers with, at most
	keysPerCall   = 16   // of a list that take as long as a host call
	writesPerCall = 4    // of the run that do: each list sorts them
)

// kvGet (key, len, buf, cap) -> length of the value.
func kvGet(r *run, mem api.Memory, args []uint64) int64 {
	key, ok := takeName(r, mem, args)
	if !ok {
		return errnoInvalid
	}
	value, ok, err := r.inv.Get(key)
	switch {
	case err != nil:
		return r.errno(err)
	case !ok:
		return errnoNotFound
	}
	return give(mem, args[2:], value)
}

// kvSet (key, len, ptr, len, seconds to live) -> error.
func kvSet(r *run, mem api.Memory, args []uint64) int64 {
	key, ok1 := takeName(r, mem, args)
	value, ok2 := take(mem, args[2:])
	if !ok1 || !ok2 {
		return errnoInvalid
	}
	return r.errno(r.inv.Set(key, value, time.Duration(uint32(args[4]))*time.Second))
}

// kvDelete (key, len) -> error.
func kvDelete(r *run, mem api.Memory, args []uint64) int64 {
	key, ok := takeName(r, mem, args)
	if !ok {
		return errnoInvalid
	}
	return r.errno(r.inv.Delete(key))
}

// kvAdd (key, len, delta) -> sum. An i64 has no room for an error number:
// failing is math.MinInt64, and why is the run's error text.
func kvAdd(r *run, mem api.Memory, args []uint64) int64 {
	key, ok := takeName(r, mem, args)
	if !ok {
		r.refuse("kv_add: the key is invalid")
		return math.MinInt64
	}
	sum, err := r.inv.Add(key, int64(args[2]))
	if err != nil {
		r.refuse("kv_add: " + err.Error())
		return math.MinInt64
	}
	return sum
}

// kvCompareAndSet (key, len, old, len or absent, ptr, len) -> 1 written, 0 differs.
func kvCompareAndSet(r *run, mem api.Memory, args []uint64) int64 {
	key, ok1 := takeName(r, mem, args)
	value, ok2 := take(mem, args[4:])
	if !ok1 || !ok2 {
		return errnoInvalid
	}
	var old []byte
	if uint32(args[3]) != absent {
		var ok bool
		if old, ok = take(mem, args[2:]); !ok {
			return errnoInvalid
		}
	}
	done, err := r.inv.CompareAndSet(key, old, value)
	switch {
	case err != nil:
		return r.errno(err)
	case done:
		return 1
	}
	return 0
}

// kvList (prefix, len, limit, buf, cap) -> length of the list: for each key,
// its length as 16 bits, low byte first, and the key. A limit of 0 or beyond
// maxListed means maxListed. It counts as several host calls
// if there are many keys.
func kvList(r *run, mem api.Memory, args []uint64) int64 {
	prefix, ok := takeName(r, mem, args)
	if !ok {
		return errnoInvalid
	}
	r.more(len(r.inv.Effects.Writes) / writesPerCall)
	limit := int(min(uint32(args[2])-1, maxListed-1)) + 1
	keys, err := r.inv.Keys(prefix, limit)
	if err != nil {
		return r.errno(err)
	}
	r.more(len(keys) / keysPerCall)
	size := 0
	for _, k := range keys {
		size += 2 + len(k)
	}
	if uint64(size) > uint64(uint32(args[4])) {
		return int64(size)
	}
	list, ok := mem.Read(uint32(args[3]), uint32(size))
	if !ok {
		return errnoInvalid
	}
	for _, k := range keys {
		binary.LittleEndian.PutUint16(list, uint16(len(k)))
		list = list[2+copy(list[2:], k):]
	}
	return int64(size)
}
