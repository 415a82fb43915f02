// Ledger keeps the books that rigs compare with what they sent: each event has a
// number as its data, and every run writes all that a run can decide, so that
// whatever was lost, counted twice or run out of order shows.
//
//   seen/<n>    how often number n was counted: 1
//   total       how many events were counted
//   last/<topic>  the last number of that topic
//   disorder    how often a number was not above the last one of its topic
//   expired     how often a value that is kept for an hour was not there
//   ticks       how many events of a schedule came
//
// A number with "!" behind it fails twice and then works. A number with "~"
// behind it sets the value that is kept for an hour; one with "?" looks for it.
#include "skerry.h"

enum { MAX = 128, TOPIC = 200 };
static char data[MAX], topic[5 + TOPIC] = "last/", last[MAX], seen[5 + MAX] = "seen/", out[4 + TOPIC] = "out/", env[8];

static skerry_i64 number(const char *s, skerry_int n) {
  skerry_i64 v = 0;
  for (skerry_int i = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) v = 10 * v + (s[i] - '0');
  return v;
}

static int setting(const char *name, skerry_len n) {
  skerry_int got = skerry_config_get(name, n, env, sizeof env);
  return got > 0 && got <= (skerry_int)sizeof env ? (int)number(env, got) : 0;
}

static int add(const char *key, skerry_len n) { return skerry_kv_add(key, n, 1) != SKERRY_ADD_FAILED; }

static int tick(void) {
  if (!add(SKERRY_STR("ticks"))) return SKERRY_FAILED;
  skerry_int err = skerry_followup(SKERRY_STR("central"), SKERRY_STR("text/plain"), SKERRY_STR("tick"));
  return err < 0 ? SKERRY_FAILED : SKERRY_COMMIT;
}

// count keeps the books of number n, of d digits, from the topic of tn bytes.
static int count(skerry_int d, skerry_int tn) {
  skerry_copy(seen + 5, data, d);
  if (setting(SKERRY_STR("SEEN")) && !add(seen, 5 + d)) return 0;
  if (!add(SKERRY_STR("total"))) return 0;
  skerry_int ln = skerry_kv_get(topic, 5 + tn, last, sizeof last);
  if (ln > 0 && number(data, d) <= number(last, ln) && !add(SKERRY_STR("disorder"))) return 0;
  return skerry_kv_set(topic, 5 + tn, data, d, 0) == 0;
}

// expiry works on the value that is kept for an hour as the mark says.
static int expiry(char mark) {
  if (mark == '~') return skerry_kv_set(SKERRY_STR("hour"), SKERRY_STR("1"), 3600) == 0;
  if (mark != '?') return 1;
  return skerry_kv_get(SKERRY_STR("hour"), last, sizeof last) != SKERRY_ENOTFOUND || add(SKERRY_STR("expired"));
}

SKERRY_HANDLE {
  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data);
  if (n > 0 && data[0] == '{') return tick();
  if (n <= 0 || n > MAX) return skerry_fail(SKERRY_REJECT, "the data is no number");
  skerry_int tn = skerry_event_get(SKERRY_SUBJECT, topic + 5, TOPIC);
  if (tn <= 0 || tn > TOPIC) return skerry_fail(SKERRY_REJECT, "the topic is too long");

  int wait = setting(SKERRY_STR("SLEEP_MS"));
  if (wait > 0) skerry_sleep_ms((skerry_len)wait);

  skerry_int digits = 0;
  while (digits < n && data[digits] >= '0' && data[digits] <= '9') digits++;
  char mark = digits < n ? data[digits] : 0;
  if (!count(digits, tn) || !expiry(mark)) return SKERRY_FAILED;
  if (skerry_followup(SKERRY_STR("central"), SKERRY_STR("text/plain"), data, digits) < 0) return SKERRY_FAILED;
  skerry_copy(out + 4, topic + 5, tn);
  if (skerry_publish(out, 4 + tn, data, digits, SKERRY_QOS1) < 0) return SKERRY_FAILED;

  // Failing comes last: nothing of what was decided above may take effect.
  skerry_event_get(SKERRY_ATTEMPT, last, sizeof last);
  if (mark == '!' && last[0] < '3') return skerry_fail(SKERRY_FAILED, "this number fails twice");
  return SKERRY_COMMIT;
}
