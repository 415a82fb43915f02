// The imports of extism:host/env that the plug-ins here use. A handle names a
// block of the memory that plug-in and host share; 0 is none.
#pragma once
#include <stdint.h>

typedef uint64_t handle;

#define HOST(name) __attribute__((import_module("extism:host/env"), import_name(#name)))
#define EXPORT(name) __attribute__((export_name(#name)))

HOST(input_length) uint64_t input_length(void);
HOST(input_load_u8) uint32_t input_load_u8(uint64_t at);
HOST(input_load_u64) uint64_t input_load_u64(uint64_t at);
HOST(input_offset) handle input_offset(void);
HOST(alloc) handle alloc(uint64_t n);
HOST(free) void release(handle h);
HOST(length) uint64_t length(handle h);
HOST(length_unsafe) uint64_t length_unsafe(handle h);
HOST(load_u8) uint32_t load_u8(uint64_t at);
HOST(load_u64) uint64_t load_u64(uint64_t at);
HOST(store_u8) void store_u8(uint64_t at, uint32_t v);
HOST(store_u64) void store_u64(uint64_t at, uint64_t v);
HOST(reset) void reset(void);
HOST(output_set) void output_set(uint64_t at, uint64_t n);
HOST(error_set) void error_set(handle h);
HOST(error_get) handle error_get(void);
HOST(config_get) handle config_get(handle key);
HOST(var_get) handle var_get(handle key);
HOST(var_set) void var_set(handle key, handle value);
HOST(http_request) handle http_request(handle request, handle body);
HOST(http_status_code) int32_t http_status_code(void);
HOST(http_headers) handle http_headers(void);
HOST(log_trace) void log_trace(handle h);
HOST(log_debug) void log_debug(handle h);
HOST(log_info) void log_info(handle h);
HOST(log_warn) void log_warn(handle h);
HOST(log_error) void log_error(handle h);
HOST(get_log_level) int32_t get_log_level(void);

// read_input copies the event's data to buf, of which cap bytes are there.
static inline uint32_t read_input(char *buf, uint32_t cap) {
	uint64_t n = input_length(), i = 0;
	if (n > cap)
		n = cap;
	for (; i + 8 <= n; i += 8) {
		uint64_t v = input_load_u64(i);
		__builtin_memcpy(buf + i, &v, 8);
	}
	for (; i < n; i++)
		buf[i] = (char)input_load_u8(i);
	return (uint32_t)n;
}

// write copies n bytes to the shared memory.
static inline void write(uint64_t at, const char *p, uint32_t n) {
	uint32_t i = 0;
	for (; i + 8 <= n; i += 8) {
		uint64_t v;
		__builtin_memcpy(&v, p + i, 8);
		store_u64(at + i, v);
	}
	for (; i < n; i++)
		store_u8(at + i, (uint8_t)p[i]);
}

// put copies n bytes to a block of its own.
static inline handle put(const char *p, uint32_t n) {
	handle h = alloc(n);
	if (h)
		write(h, p, n);
	return h;
}

static inline void output(const char *p, uint32_t n) { output_set(put(p, n), n); }
