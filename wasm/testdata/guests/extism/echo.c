// Gives its input back, a word at a time.
#include "extism.h"

EXPORT(echo) int32_t echo(void) {
	uint64_t n = input_length(), i = 0;
	handle h = alloc(n);
	if (n && !h)
		return 1;
	for (; i + 8 <= n; i += 8)
		store_u64(h + i, input_load_u64(i));
	for (; i < n; i++)
		store_u8(h + i, input_load_u8(i));
	output_set(h, n);
	return 0;
}
