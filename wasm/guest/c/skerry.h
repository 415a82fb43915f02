/* skerry.h - write a Skerry function in C or C++, without a C library.
 *
 *   clang --target=wasm32 -O2 -ffreestanding -nostdlib -I CHECKOUT/wasm/guest/c \
 *         -Wl,--no-entry -Wl,--strip-all -o my.wasm my.c
 *
 *   #include "skerry.h"
 *   SKERRY_HANDLE { ... return SKERRY_COMMIT; }
 *
 * The ABI is described in wasm/ABI.md. Every buffer belongs to the function;
 * the host reads and writes it only during the call. Functions that return
 * skerry_int give a length or 0 on success and a negative SKERRY_E... if not.
 * Why the host refused, and what to grant, becomes the run's error text if the
 * run fails and skerry_error_set was not called: return SKERRY_FAILED and no more.
 */
#ifndef SKERRY_H
#define SKERRY_H

typedef int skerry_int;
typedef unsigned int skerry_len;
typedef long long skerry_i64;

/* What skerry_handle returns. */
enum { SKERRY_COMMIT = 0, SKERRY_REJECT = 1, SKERRY_RETRY = 2, SKERRY_FAILED = 3 };

enum {
  SKERRY_EINVALID = -1,
  SKERRY_ENOTFOUND = -2,
  SKERRY_EDENIED = -3,
  SKERRY_ELIMIT = -4,
  SKERRY_EBUSY = -5,
  SKERRY_EIO = -6,
  SKERRY_EDEADLINE = -7
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
/* Why the host refused a call of this run, the last one; 0 if it refused none. */
SKERRY_IMPORT(error_get) skerry_int skerry_error_get(char *buf, skerry_len cap);
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
SKERRY_IMPORT(random_get) skerry_int skerry_random_get(void *buf, skerry_len n);
SKERRY_IMPORT(sleep_ms) skerry_int skerry_sleep_ms(skerry_len ms);
/* Request: "POST https://host/path\nName: value\n\nbody"; answer: "200\nName: value\n\nbody".
 * If the answer does not fit in cap, ask for the same one again with rn 0. */
SKERRY_IMPORT(http) skerry_int skerry_http(const void *req, skerry_len rn, void *buf, skerry_len cap);
SKERRY_IMPORT(kv_list) skerry_int skerry_kv_list(const char *prefix, skerry_len pn, skerry_len limit, void *buf, skerry_len cap);

#ifdef __cplusplus
}
#endif

/* A literal as the two arguments (pointer, length). */
#define SKERRY_STR(literal) (literal), (skerry_len)(sizeof(literal) - 1)

/* skerry_fail says why the run fails and is the result to return. After a call
 * that the host refused, leave it out: the host's own words say more. */
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

#include "skerry_json.h"

#endif
