// The overheat alarm as an Extism plug-in: an event whose "temperature" is
// above the configured limit gives an alarm.
#include "extism.h"

#define TEXT(s) s, sizeof(s) - 1

static char in[4096], out[256];

static uint32_t len(const char *s) {
	uint32_t n = 0;
	while (s[n])
		n++;
	return n;
}

// field returns where the value of a field begins, 0 if there is none.
static const char *field(const char *s, uint32_t n, const char *key) {
	uint32_t k = len(key);
	for (uint32_t i = 0; i + k < n; i++) {
		uint32_t j = 0;
		while (j < k && s[i + j] == key[j])
			j++;
		if (j == k)
			return s + i + k;
	}
	return 0;
}

static double number(const char *p) {
	double v = 0, unit = 1, sign = 1;
	if (*p == '-')
		sign = -1, p++;
	for (; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (*p - '0');
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++)
			v += (*p - '0') * (unit /= 10);
	return sign * v;
}

static char *append(char *to, const char *p, uint32_t n) {
	while (n--)
		*to++ = *p++;
	return to;
}

EXPORT(alarm) int32_t alarm(void) {
	uint32_t n = read_input(in, sizeof in - 1);
	in[n] = 0;
	const char *value = field(in, n, "\"temperature\":");
	if (!value) {
		error_set(put(TEXT("the reading has no temperature")));
		return 1;
	}
	char text[24] = {0};
	handle key = put(TEXT("LIMIT"));
	handle limit = config_get(key);
	uint64_t size = length(limit);
	for (uint64_t i = 0; i < size && i < sizeof text - 1; i++)
		text[i] = (char)load_u8(limit + i);
	release(limit);
	release(key);
	if (number(value) <= number(text))
		return 0;
	uint32_t digits = 0;
	while (value[digits] == '-' || value[digits] == '.' || (value[digits] >= '0' && value[digits] <= '9'))
		digits++;
	char *end = append(out, TEXT("{\"alarm\":\"overheat\",\"temperature\":"));
	end = append(end, value, digits < 32 ? digits : 32);
	end = append(end, TEXT("}"));
	output(out, (uint32_t)(end - out));
	return 0;
}
