// Cguest calls every function of skerry.h once and says what went wrong.
#include "../guest/c/skerry.h"

#define CHECK(ok, what) \
  if (!(ok)) return skerry_fail(3, what)

static char buf[512];

static int is(skerry_int n, const char *want, skerry_len wn) { return n == (skerry_int)wn && skerry_same(buf, want, wn); }

SKERRY_INIT {
  skerry_log(SKERRY_INFO, SKERRY_STR("starting"));
  return is(skerry_config_get(SKERRY_STR("LIMIT"), buf, sizeof buf), SKERRY_STR("80")) ? 0 : skerry_fail(1, "config");
}

static int json(const char *name, skerry_len nn, const char *want, skerry_len wn) {
  const char *v;
  skerry_int n = skerry_event_get(SKERRY_DATA, buf, sizeof buf);
  skerry_int vn = skerry_json(buf, n, name, nn, &v);
  return vn == (skerry_int)wn && skerry_same(v, want, wn);
}

static int event(void) {
  const char *v;
  int ok;
  CHECK(json(SKERRY_STR("b"), SKERRY_STR("x\\\"y")), "json string");
  CHECK(json(SKERRY_STR("c"), SKERRY_STR("[1,{\"d\":\"]\"}]")), "json list");
  CHECK(json(SKERRY_STR("e"), SKERRY_STR("-1.25e1")), "json number");
  CHECK(skerry_json(buf, 8, SKERRY_STR("e"), &v) == SKERRY_ENOTFOUND, "json cut");
  CHECK(skerry_json(SKERRY_STR("{\"d\":{\"a\":1}}"), SKERRY_STR("a"), &v) == SKERRY_ENOTFOUND, "json nested");
  CHECK(skerry_number(SKERRY_STR("-1.25e1"), &ok) == -12.5 && ok, "number");
  CHECK((skerry_number(SKERRY_STR("1x"), &ok), !ok), "no number");
  CHECK(is(skerry_event_get(SKERRY_SUBJECT, buf, sizeof buf), SKERRY_STR("sensors/l1/s1/temperature")), "subject");
  CHECK(is(skerry_event_get(SKERRY_ATTEMPT, buf, sizeof buf), SKERRY_STR("1")), "attempt");
  CHECK(skerry_secret_get(SKERRY_STR("token"), buf, sizeof buf) == SKERRY_ENOTFOUND, "secret");
  CHECK(skerry_now_ms() > 1600000000000, "now");
  return 0;
}

static int effects(void) {
  CHECK(skerry_publish(SKERRY_STR("alerts/1"), SKERRY_STR("hot"), SKERRY_QOS1 | SKERRY_RETAIN) == 0, "publish");
  CHECK(skerry_publish(SKERRY_STR("other"), SKERRY_STR("hot"), 0) == SKERRY_EDENIED, "publish denied");
  CHECK(skerry_emit(SKERRY_STR("next"), SKERRY_STR("go")) == 0, "emit");
  CHECK(skerry_followup(SKERRY_STR("ops"), SKERRY_STR("text/plain"), SKERRY_STR("help")) == 0, "followup");
  skerry_log(SKERRY_WARN, SKERRY_STR("careful"));
  return 0;
}

static int state(void) {
  CHECK(skerry_kv_set(SKERRY_STR("b"), SKERRY_STR("2"), 60) == 0, "set");
  CHECK(skerry_kv_set(SKERRY_STR("gone"), SKERRY_STR("2"), 0) == 0, "set");
  CHECK(skerry_kv_delete(SKERRY_STR("gone")) == 0, "delete");
  CHECK(skerry_kv_get(SKERRY_STR("gone"), buf, sizeof buf) == SKERRY_ENOTFOUND, "get gone");
  CHECK(skerry_kv_cas(SKERRY_STR("b"), SKERRY_STR("2"), SKERRY_STR("two")) == 1, "cas");
  CHECK(skerry_kv_cas(SKERRY_STR("b"), SKERRY_STR("2"), SKERRY_STR("two")) == 0, "cas differs");
  CHECK(skerry_kv_cas(SKERRY_STR("c"), 0, SKERRY_ABSENT, SKERRY_STR("two")) == 1, "cas absent");
  CHECK(skerry_kv_add(SKERRY_STR("n"), -7) == -7, "add");
  CHECK(skerry_kv_add(SKERRY_STR("b"), 1) == SKERRY_ADD_FAILED, "add to a word");
  CHECK(is(skerry_kv_get(SKERRY_STR("b"), buf, sizeof buf), SKERRY_STR("two")), "get");
  CHECK(is(skerry_kv_list(SKERRY_STR(""), 0, buf, sizeof buf), SKERRY_STR("\1\0b\1\0c\1\0n")), "list");
  return 0;
}

SKERRY_HANDLE {
  if (event() || effects() || state()) return 3;
  return skerry_result_set(SKERRY_STR("done"));
}
