// Uses the host while it starts. No function stands out: the function's
// environment has to name one.
#include "extism.h"

static char mode;
static int started;

EXPORT(_initialize) void initialise(void) {
	handle key = put("MODE", 4), value = config_get(key);
	if (value)
		mode = (char)load_u8(value);
	if (mode == 'v')
		var_set(key, key);
	log_info(key);
	started++;
}

static void show(char c) { output(&c, 1); }

EXPORT(first) int32_t first(void) { show((char)('0' + started)); return 0; }
EXPORT(second) int32_t second(void) { show(mode); return 0; }
EXPORT(silent) void silent(void) { show('s'); }
EXPORT(add) int32_t add(int32_t a) { return a + 1; }
