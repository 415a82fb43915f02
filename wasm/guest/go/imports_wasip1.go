//go:build wasip1

package skerry

import "unsafe"

//go:wasmexport skerry_init
func skerryInit() int32 { return start() }

//go:wasmexport skerry_handle
func skerryHandle() int32 { return serve() }

//go:noescape
//go:wasmimport skerry_v1 event_get
func eventGet(field uint32, buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 result_set
func resultSet(data unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 error_set
func errorSet(text unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 error_get
func errorGet(buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 log
func log(level uint32, text unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 config_get
func configGet(key unsafe.Pointer, kn uint32, buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 secret_get
func secretGet(name unsafe.Pointer, nn uint32, buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 publish
func publish(topic unsafe.Pointer, tn uint32, data unsafe.Pointer, n, flags uint32) int32

//go:noescape
//go:wasmimport skerry_v1 emit
func emit(function unsafe.Pointer, fn uint32, data unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 followup
func followup(target unsafe.Pointer, tn uint32, typ unsafe.Pointer, yn uint32, data unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 kv_get
func kvGet(key unsafe.Pointer, kn uint32, buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 kv_set
func kvSet(key unsafe.Pointer, kn uint32, data unsafe.Pointer, n, ttl uint32) int32

//go:noescape
//go:wasmimport skerry_v1 kv_delete
func kvDelete(key unsafe.Pointer, kn uint32) int32

//go:noescape
//go:wasmimport skerry_v1 kv_add
func kvAdd(key unsafe.Pointer, kn uint32, delta int64) int64

//go:noescape
//go:wasmimport skerry_v1 kv_cas
func kvCAS(key unsafe.Pointer, kn uint32, old unsafe.Pointer, on uint32, data unsafe.Pointer, n uint32) int32

//go:noescape
//go:wasmimport skerry_v1 kv_list
func kvList(prefix unsafe.Pointer, pn, limit uint32, buf unsafe.Pointer, cap uint32) int32

//go:noescape
//go:wasmimport skerry_v1 random_get
func randomGet(buf unsafe.Pointer, n uint32) int32

//go:wasmimport skerry_v1 sleep_ms
func sleepMillis(ms uint32) int32

//go:noescape
//go:wasmimport skerry_v1 http
func httpDo(req unsafe.Pointer, rn uint32, buf unsafe.Pointer, cap uint32) int32

// str and mem are the two arguments (pointer, length) of a string and a slice.
func str(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

func mem(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func hostEventGet(field uint32, buf []byte) int32 {
	p, n := mem(buf)
	return eventGet(field, p, n)
}

func hostResultSet(data []byte) int32 { return resultSet(mem(data)) }

func hostErrorSet(text string) int32 { return errorSet(str(text)) }

func hostErrorGet(buf []byte) int32 { return errorGet(mem(buf)) }

func hostLog(level uint32, text string) int32 {
	p, n := str(text)
	return log(level, p, n)
}

func hostConfigGet(key string, buf []byte) int32 {
	k, kn := str(key)
	p, n := mem(buf)
	return configGet(k, kn, p, n)
}

func hostSecretGet(name string, buf []byte) int32 {
	k, kn := str(name)
	p, n := mem(buf)
	return secretGet(k, kn, p, n)
}

func hostPublish(topic string, data []byte, flags uint32) int32 {
	t, tn := str(topic)
	p, n := mem(data)
	return publish(t, tn, p, n, flags)
}

func hostEmit(function string, data []byte) int32 {
	f, fn := str(function)
	p, n := mem(data)
	return emit(f, fn, p, n)
}

func hostFollowup(target, contentType string, data []byte) int32 {
	t, tn := str(target)
	y, yn := str(contentType)
	p, n := mem(data)
	return followup(t, tn, y, yn, p, n)
}

func hostKVGet(key string, buf []byte) int32 {
	k, kn := str(key)
	p, n := mem(buf)
	return kvGet(k, kn, p, n)
}

func hostKVSet(key string, value []byte, ttl uint32) int32 {
	k, kn := str(key)
	p, n := mem(value)
	return kvSet(k, kn, p, n, ttl)
}

func hostKVDelete(key string) int32 { return kvDelete(str(key)) }

func hostKVAdd(key string, delta int64) int64 {
	k, kn := str(key)
	return kvAdd(k, kn, delta)
}

func hostKVCompareAndSet(key string, old, value []byte) int32 {
	k, kn := str(key)
	o, on := mem(old)
	if old == nil {
		on = 1<<32 - 1 // absent
	}
	p, n := mem(value)
	return kvCAS(k, kn, o, on, p, n)
}

func hostKVList(prefix string, limit uint32, buf []byte) int32 {
	k, kn := str(prefix)
	p, n := mem(buf)
	return kvList(k, kn, limit, p, n)
}

func hostRandom(b []byte) int32 { return randomGet(mem(b)) }

func hostSleep(ms uint32) int32 { return sleepMillis(ms) }

func hostHTTP(req, buf []byte) int32 {
	r, rn := mem(req)
	p, n := mem(buf)
	return httpDo(r, rn, p, n)
}
