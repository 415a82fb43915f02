// Conformance does what the event's topic says, with arguments from its data:
// each is its length as 32 bits, low byte first, and its bytes. The result is
// "=" and a value, or "!" and why not.
#include "skerry.h"

enum { MAX = (1 << 20) + 16 };

static char data[MAX], out[MAX], text[256];
static skerry_len size, at;
static char boot[64];
static skerry_int boot_len;

typedef struct {
  const char *s;
  skerry_len n;
} str;

#define ARG(a) (a).s, (a).n

static str next(void) {
  str a = {0, 0};
  if (size - at < 4) return a;
  const unsigned char *p = (const unsigned char *)data + at;
  a.n = p[0] | p[1] << 8 | p[2] << 16 | (skerry_len)p[3] << 24;
  a.s = data + at + 4;
  at += 4 + a.n;
  return a;
}

static skerry_i64 integer(void) {
  int ok;
  str a = next();
  return skerry_integer(ARG(a), &ok);
}

static int is(skerry_int n, const char *word) {
  for (skerry_int i = 0; i < n; i++)
    if (text[i] != word[i]) return 0;
  return word[n] == 0;
}

// value answers with n bytes of out, which the caller wrote from out + 1 on.
static int value(skerry_int n) {
  out[0] = '=';
  if (n >= 0) return skerry_result_set(out, n + 1);
  switch (n) {
  case SKERRY_EINVALID: return skerry_result_set(SKERRY_STR("!invalid"));
  case SKERRY_ENOTFOUND: return skerry_result_set(SKERRY_STR("!not found"));
  case SKERRY_EDENIED: return skerry_result_set(SKERRY_STR("!denied"));
  case SKERRY_ELIMIT: return skerry_result_set(SKERRY_STR("!limit"));
  }
  return skerry_result_set(SKERRY_STR("!io"));
}

static int done(skerry_int error) { return value(error < 0 ? error : 0); }

static int number(skerry_i64 v) {
  char digits[24];
  skerry_len n = 0, len = 1;
  unsigned long long rest = v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v;
  do digits[n++] = (char)('0' + rest % 10), rest /= 10;
  while (rest);
  if (v < 0) out[len++] = '-';
  while (n) out[len++] = digits[--n];
  return value((skerry_int)len - 1);
}

static int bits(unsigned long long v) {
  for (int i = 0; i < 8; i++) out[1 + i] = (char)(v >> 8 * i);
  return value(8);
}

static int fields(void) {
  static const int all[] = {SKERRY_SUBJECT, SKERRY_CONTENT_TYPE, SKERRY_TRIGGER, SKERRY_EVENT_ID, SKERRY_TIME_MS,
                            SKERRY_SOURCE, SKERRY_TYPE, SKERRY_ATTEMPT, SKERRY_FUNCTION};
  skerry_len n = 1;
  for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
    n += skerry_event_get(all[i], out + n, sizeof out - n);
    out[n++] = '|';
  }
  return value((skerry_int)n - 2);
}

static int list(void) {
  str prefix = next();
  skerry_int n = skerry_kv_list(ARG(prefix), (skerry_len)integer(), data, sizeof data);
  if (n < 0) return value(n);
  skerry_len len = 0;
  for (skerry_int i = 0; i < n;) {
    skerry_len k = (unsigned char)data[i] | (unsigned char)data[i + 1] << 8;
    if (len) out[++len] = '\n';
    len += skerry_copy(out + 1 + len, data + i + 2, k);
    i += 2 + k;
  }
  return value((skerry_int)len);
}

// http answers with the status, the header line Kind, and the body, a line each.
static int http(void) {
  static const char kind[] = "\nKind: ";
  str req = next();
  skerry_int n = skerry_http(ARG(req), out, 64);
  if (n > 64) n = skerry_http(0, 0, out, sizeof out);
  if (n < 0) return value(n);
  skerry_len head = 0, from = 0, to = 0, len = 3;
  while (!skerry_same(out + head, "\n\n", 2)) head++;
  while (from + 7 <= head && !skerry_same(out + from, kind, 7)) from++;
  if (from + 7 <= head)
    for (from = to = from + 7; to < head && out[to] != '\n'; to++) {}
  skerry_copy(data, out, n);
  len = skerry_copy(out + 1, data, 3);
  out[++len] = '\n';
  if (to) len += skerry_copy(out + 1 + len, data + from, to - from);
  out[++len] = '\n';
  len += skerry_copy(out + 1 + len, data + head + 2, n - head - 2);
  return value((skerry_int)len);
}

static int json(void) {
  str what = next(), doc = next(), step;
  const char *v = doc.s;
  skerry_int n = (skerry_int)doc.n, i;
  int ok = 0;
  for (step = next(); step.n && n >= 0; step = next()) {
    if (step.s[0] == '.') n = skerry_json(v, n, step.s + 1, step.n - 1, &v);
    else n = skerry_json_at(v, n, step.s[1] - '0', &v);
  }
  if (n < 0) return value(n);
  switch (what.s[0]) {
  case 'r':
    return value((skerry_int)skerry_copy(out + 1, v, n));
  case 't':
    return value(skerry_text(v, n, out + 1, sizeof out - 1));
  case 'f': {
    union {
      double f;
      unsigned long long u;
    } d = {skerry_number(v, n, &ok)};
    return ok ? bits(d.u) : value(SKERRY_EINVALID);
  }
  case 'i': {
    skerry_i64 d = skerry_integer(v, n, &ok);
    return ok ? number(d) : value(SKERRY_EINVALID);
  }
  }
  i = n == 4 && skerry_same(v, "true", 4) ? 1 : n == 5 && skerry_same(v, "false", 5) ? 0 : SKERRY_EINVALID;
  return i < 0 ? value(i) : number(i);
}

static int state(skerry_int cn) {
  str key = next(), a;
  if (is(cn, "get")) return value(skerry_kv_get(ARG(key), out + 1, sizeof out - 1));
  if (is(cn, "set")) return a = next(), done(skerry_kv_set(ARG(key), ARG(a), (skerry_len)integer()));
  if (is(cn, "delete")) return done(skerry_kv_delete(ARG(key)));
  if (is(cn, "add")) {
    skerry_i64 sum = skerry_kv_add(ARG(key), integer());
    return sum == SKERRY_ADD_FAILED ? value(SKERRY_EINVALID) : number(sum);
  }
  str old = next();
  a = next();
  skerry_int n = skerry_kv_cas(ARG(key), old.s, old.n ? old.n : SKERRY_ABSENT, ARG(a));
  return n < 0 ? value(n) : number(n);
}

static int effect(skerry_int cn) {
  str a = next(), b = next();
  if (is(cn, "publish")) return done(skerry_publish(ARG(a), ARG(b), (skerry_len)integer()));
  if (is(cn, "emit")) return done(skerry_emit(ARG(a), ARG(b)));
  if (is(cn, "log")) return done(skerry_log((skerry_len)(a.s[0] - '0'), ARG(b)));
  str c = next();
  return done(skerry_followup(ARG(a), ARG(b), ARG(c)));
}

static int outside(skerry_int cn) {
  if (is(cn, "now")) return number(skerry_now_ms());
  if (is(cn, "http")) return http();
  if (is(cn, "sleep")) return done(skerry_sleep_ms((skerry_len)integer()));
  if (is(cn, "random")) {
    skerry_len n = (skerry_len)integer();
    skerry_int e = skerry_random_get(out + 1, n);
    return value(e < 0 ? e : (skerry_int)n);
  }
  str name = next();
  if (is(cn, "config")) return value(skerry_config_get(ARG(name), out + 1, sizeof out - 1));
  return value(skerry_secret_get(ARG(name), out + 1, sizeof out - 1));
}

static int say(int result) {
  str why = next();
  skerry_error_set(ARG(why));
  return result;
}

SKERRY_INIT {
  boot_len = skerry_config_get(SKERRY_STR("BOOT"), boot, sizeof boot);
  skerry_log(SKERRY_INFO, SKERRY_STR("starting"));
  return boot_len < 0 ? skerry_fail(1, "BOOT is not set") : 0;
}

SKERRY_HANDLE {
  str topic;
  size = (skerry_len)skerry_event_get(SKERRY_DATA, data, sizeof data);
  at = 0;
  skerry_int cn = skerry_event_get(SKERRY_SUBJECT, text, sizeof text);
  if (is(cn, "echo")) return skerry_result_set(data, size);
  if (is(cn, "boot")) return skerry_copy(out + 1, boot, boot_len), value(boot_len);
  if (is(cn, "fields")) return fields();
  if (is(cn, "json")) return json();
  if (is(cn, "list")) return list();
  if (is(cn, "reject")) return say(SKERRY_REJECT);
  if (is(cn, "retry")) return say(SKERRY_RETRY);
  if (is(cn, "fail")) return say(SKERRY_FAILED);
  if (is(cn, "refused")) return topic = next(), skerry_publish(ARG(topic), 0, 0, 0) < 0 ? SKERRY_FAILED : SKERRY_COMMIT;
  if (is(cn, "why")) return topic = next(), skerry_publish(ARG(topic), 0, 0, 0), value(skerry_error_get(out + 1, sizeof out - 1));
  if (is(cn, "throw")) say(SKERRY_FAILED), __builtin_trap();
  if (is(cn, "trap")) __builtin_trap();
  if (is(cn, "publish") || is(cn, "emit") || is(cn, "followup") || is(cn, "log")) return effect(cn);
  if (is(cn, "get") || is(cn, "set") || is(cn, "delete") || is(cn, "add") || is(cn, "cas")) return state(cn);
  return outside(cn);
}
