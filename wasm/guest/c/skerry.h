/* skerry.h - write a Skerry function in C or C++, without a C library.
 *
 *   clang --target=wasm32 -O2 -ffreestanding -nostdlib -I wasm/guest/c \
 *         -Wl,--no-entry -Wl,--strip-all -o my.wasm my.c
 *
 *   #include "skerry.h"
 *   SKERRY_HANDLE { ... return SKERRY_COMMIT; }
 *
 * The ABI is described in wasm/ABI.md. Every buffer belongs to the function;
 * the host reads and writes it only during the call. Functions that return
 * skerry_int give a length or 0 on success and a negative SKERRY_E... if not.
 */
#ifndef SKERRY_H
#define SKERRY_H

typedef int skerry_int;
typedef unsigned int skerry_len;
typedef long long skerry_i64;

enum { SKERRY_COMMIT = 0, SKERRY_REJECT = 1, SKERRY_RETRY = 2 };

enum {
  SKERRY_EINVALID = -1,
  SKERRY_ENOTFOUND = -2,
  SKERRY_EDENIED = -3,
  SKERRY_ELIMIT = -4,
  SKERRY_EIO = -6
};

enum {
  SKERRY_DATA = 0,
  SKERRY_SUBJECT = 1, /* the MQTT topic */
  SKERRY_CONTENT_TYPE = 2,
  SKERRY_TRIGGER = 3,
  SKERRY_EVENT_ID = 4,
  SKERRY_TIME_MS = 5, /* decimal text */
  SKERRY_SOURCE = 7,
  SKERRY_TYPE = 8,
  SKERRY_ATTEMPT = 9, /* decimal text */
  SKERRY_FUNCTION = 10
};

enum { SKERRY_DEBUG = 0, SKERRY_INFO = 1, SKERRY_WARN = 2, SKERRY_ERROR = 3 };

enum { SKERRY_QOS0 = 0, SKERRY_QOS1 = 1, SKERRY_QOS2 = 2, SKERRY_RETAIN = 4 };

#define SKERRY_ABSENT ((skerry_len)-1)
#define SKERRY_ADD_FAILED (-9223372036854775807LL - 1)

#define SKERRY_IMPORT(name) __attribute__((import_module("skerry_v1"), import_name(#name)))

#ifdef __cplusplus
#define SKERRY_C extern "C"
#else
#define SKERRY_C
#endif

/* The function's entry: SKERRY_HANDLE { ... return SKERRY_COMMIT; } */
#define SKERRY_HANDLE SKERRY_C __attribute__((export_name("skerry_handle"))) int skerry_handle(void)
/* Runs once per instance, before the first event: SKERRY_INIT { ... return 0; } */
#define SKERRY_INIT SKERRY_C __attribute__((export_name("skerry_init"))) int skerry_init(void)

#ifdef __cplusplus
extern "C" {
#endif

SKERRY_IMPORT(event_get) skerry_int skerry_event_get(skerry_len field, void *buf, skerry_len cap);
SKERRY_IMPORT(result_set) skerry_int skerry_result_set(const void *data, skerry_len n);
SKERRY_IMPORT(error_set) skerry_int skerry_error_set(const char *text, skerry_len n);
SKERRY_IMPORT(log) skerry_int skerry_log(skerry_len level, const char *text, skerry_len n);
SKERRY_IMPORT(config_get) skerry_int skerry_config_get(const char *key, skerry_len kn, void *buf, skerry_len cap);
SKERRY_IMPORT(secret_get) skerry_int skerry_secret_get(const char *name, skerry_len nn, void *buf, skerry_len cap);
SKERRY_IMPORT(publish) skerry_int skerry_publish(const char *topic, skerry_len tn, const void *data, skerry_len n, skerry_len flags);
SKERRY_IMPORT(emit) skerry_int skerry_emit(const char *function, skerry_len fn, const void *data, skerry_len n);
SKERRY_IMPORT(followup) skerry_int skerry_followup(const char *target, skerry_len tn, const char *type, skerry_len yn, const void *data, skerry_len n);
SKERRY_IMPORT(now_ms) skerry_i64 skerry_now_ms(void);
SKERRY_IMPORT(kv_get) skerry_int skerry_kv_get(const char *key, skerry_len kn, void *buf, skerry_len cap);
SKERRY_IMPORT(kv_set) skerry_int skerry_kv_set(const char *key, skerry_len kn, const void *data, skerry_len n, skerry_len ttl_s);
SKERRY_IMPORT(kv_delete) skerry_int skerry_kv_delete(const char *key, skerry_len kn);
SKERRY_IMPORT(kv_add) skerry_i64 skerry_kv_add(const char *key, skerry_len kn, skerry_i64 delta);
SKERRY_IMPORT(kv_cas) skerry_int skerry_kv_cas(const char *key, skerry_len kn, const void *old, skerry_len on, const void *data, skerry_len n);
SKERRY_IMPORT(kv_list) skerry_int skerry_kv_list(const char *prefix, skerry_len pn, skerry_len limit, void *buf, skerry_len cap);

#ifdef __cplusplus
}
#endif

/* A literal as the two arguments (pointer, length). */
#define SKERRY_STR(literal) (literal), (skerry_len)(sizeof(literal) - 1)

/* skerry_fail says why the run fails and is the result to return. */
#define skerry_fail(result, literal) (skerry_error_set(SKERRY_STR(literal)), (result))

static inline skerry_len skerry_copy(char *to, const char *from, skerry_len n) {
  for (skerry_len i = 0; i < n; i++) to[i] = from[i];
  return n;
}

static inline int skerry_same(const char *a, const char *b, skerry_len n) {
  for (skerry_len i = 0; i < n; i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

/* skerry_json finds the value of a member of the outermost JSON object:
 * *value points into data, strings without their quotes and still escaped.
 * It returns the value's length, or SKERRY_ENOTFOUND. It trusts the text to be
 * JSON; it never reads outside of data. */
static inline skerry_int skerry_json(const char *data, skerry_len n, const char *key, skerry_len kn, const char **value) {
  skerry_len i = 0, depth = 0;
  int is_key = 0, found = 0;
  while (i < n) {
    char c = data[i];
    if (c == '"') {
      skerry_len start = ++i;
      while (i < n && data[i] != '"') i += data[i] == '\\' ? 2 : 1;
      if (i >= n) return SKERRY_ENOTFOUND;
      if (found) return *value = data + start, (skerry_int)(i - start);
      if (is_key && depth == 1 && i - start == kn && skerry_same(data + start, key, kn)) is_key = 2;
      i++;
      continue;
    }
    if (c == ':' && depth == 1) {
      found = is_key == 2;
      is_key = 0;
      i++;
      continue;
    }
    if (found && c != ' ' && c != '\t' && c != '\n' && c != '\r') {
      skerry_len start = i, inner = 0;
      for (; i < n; i++) {
        c = data[i];
        if (c == '"') {
          for (i++; i < n && data[i] != '"'; i++)
            if (data[i] == '\\') i++;
          continue;
        }
        if (c == '{' || c == '[') inner++;
        if ((c == '}' || c == ']' || c == ',') && inner == 0) break;
        if (c == '}' || c == ']') inner--;
      }
      if (i > n) return SKERRY_ENOTFOUND;
      *value = data + start;
      skerry_len end = i;
      while (end > start && (data[end - 1] == ' ' || data[end - 1] == '\n' || data[end - 1] == '\r' || data[end - 1] == '\t')) end--;
      return (skerry_int)(end - start);
    }
    if (c == '{' || c == '[') depth++;
    if (c == '}' || c == ']') depth--;
    if (depth == 1 && (c == '{' || c == ',')) is_key = 1;
    i++;
  }
  return SKERRY_ENOTFOUND;
}

/* skerry_number reads a decimal number such as -12.5e3; *ok is 0 if there is none. */
static inline double skerry_number(const char *s, skerry_len n, int *ok) {
  skerry_len i = 0, digits = 0;
  double v = 0, scale = 1;
  int negative = 0, exponent = 0, eneg = 0;
  if (i < n && (s[i] == '-' || s[i] == '+')) negative = s[i++] == '-';
  for (; i < n && s[i] >= '0' && s[i] <= '9'; i++, digits++) v = v * 10 + (s[i] - '0');
  if (i < n && s[i] == '.')
    for (i++; i < n && s[i] >= '0' && s[i] <= '9'; i++, digits++) v = v * 10 + (s[i] - '0'), scale *= 10;
  if (i < n && digits && (s[i] == 'e' || s[i] == 'E')) {
    i++;
    if (i < n && (s[i] == '-' || s[i] == '+')) eneg = s[i++] == '-';
    for (; i < n && s[i] >= '0' && s[i] <= '9' && exponent < 400; i++) exponent = exponent * 10 + (s[i] - '0');
  }
  v /= scale;
  for (; exponent > 0; exponent--) v = eneg ? v / 10 : v * 10;
  *ok = digits > 0 && i == n;
  return negative ? -v : v;
}

#endif
