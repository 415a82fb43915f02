// Does what the first byte of the event's data says, with the rest of it.
#include "extism.h"

#define TEXT(s) s, sizeof(s) - 1

static char in[8192];
static int32_t runs;

static uint64_t number(const char *p) {
	uint64_t v = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return v;
}

static void digit(uint32_t v) {
	char c = (char)('0' + v);
	output(&c, 1);
}

// show makes a block the result, "-" if there is none.
static void show(handle h) {
	if (!h)
		output(TEXT("-"));
	else
		output_set(h, length(h));
}

static uint32_t until(const char *p, uint32_t n, char c) {
	uint32_t i = 0;
	while (i < n && p[i] != c)
		i++;
	return i;
}

static void set(const char *p, uint32_t n) {
	uint32_t k = until(p, n, '=');
	handle value = put(p + k + 1, n - k - 1);
	var_set(put(p, k), value);
}

static void request(const char *p, uint32_t n) {
	uint32_t k = until(p, n, '\n');
	handle body = k < n ? put(p + k + 1, n - k - 1) : 0;
	handle answer = http_request(put(p, k), body);
	handle header = http_headers();
	uint64_t size = length(header) + 1 + length(answer), at = 0;
	handle all = alloc(size);
	for (uint64_t i = 0; i < length(header); i++)
		store_u8(all + at++, load_u8(header + i));
	store_u8(all + at++, (uint32_t)(http_status_code() / 100) + '0');
	for (uint64_t i = 0; i < length(answer); i++)
		store_u8(all + at++, load_u8(answer + i));
	output_set(all, size);
}

static void logs(const char *p, uint32_t n) {
	handle h = put(p, n);
	log_trace(h);
	log_debug(h);
	log_info(h);
	log_warn(h);
	log_error(h);
	digit((uint32_t)get_log_level());
}

// blocks allocates and frees more than fits at once.
static void blocks(uint32_t rounds) {
	handle first = alloc(100), old = alloc(1000), bad = 0;
	for (uint32_t i = 0; i < rounds; i++) {
		handle h = alloc(1000 + i % 100);
		bad |= !h || length(h) != 1000 + i % 100 || length_unsafe(h) != length(h);
		release(h);
		bad |= length(h) != 0;
		release(h);
	}
	release(old);
	bad |= length(first) != 100 || length(first + 1) || length(0);
	digit(bad != 0);
}

// zeros tells whether new memory is clear, and soils it.
static void zeros(void) {
	handle h = alloc(512);
	uint64_t sum = 0;
	for (uint32_t i = 0; i < 512; i += 8) {
		sum |= load_u64(h + i);
		store_u64(h + i, ~0ull);
	}
	digit(sum != 0);
}

static int32_t fail(const char *p, uint32_t n) {
	error_set(0);
	handle h = put(p, n);
	error_set(h);
	return error_get() == h ? 1 : 2;
}

static void outside(char what, uint64_t at) {
	switch (what) {
	case '1': load_u8(at); break;
	case '2': load_u64(at); break;
	case '3': store_u8(at, 0); break;
	case '4': store_u64(at, 0); break;
	case '5': input_load_u8(at); break;
	case '6': input_load_u64(at); break;
	case '7': output_set(at, 8); break;
	case '8': log_info(at); break;
	case '9': error_set(at); break;
	}
}

EXPORT(handle) int32_t run(void) {
	uint32_t n = read_input(in, sizeof in - 1);
	in[n] = 0;
	runs++;
	const char *p = in + 1;
	switch (n ? in[0] : 0) {
	case 0: output("", 0); return 0;
	case 'e': output_set(input_offset(), input_length()); return 0;
	case 'c': show(config_get(put(p, n - 1))); return 0;
	case 'g': show(var_get(put(p, n - 1))); return 0;
	case 's': set(p, n - 1); return 0;
	case 'd': var_set(put(p, n - 1), 0); return 0;
	case 'h': request(p, n - 1); return 0;
	case 'l': logs(p, n - 1); return 0;
	case 'b': blocks((uint32_t)number(p)); return 0;
	case 'z': zeros(); return 0;
	case 'a': digit(alloc(number(p)) != 0); return 0;
	case 'r': reset(); zeros(); return 0;
	case 'n': digit((uint32_t)runs); return 0;
	case 'x': return fail(p, n - 1);
	case 'o': outside(*p, number(p + 1)); return 0;
	case 'k': load_u8(alloc(number(p))); return 0;
	case 't': __builtin_trap();
	case 'w': for (handle h = alloc(8);;) load_u8(h);
	}
	return -1;
}
