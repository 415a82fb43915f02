// Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
// the sensor has been below LIMIT again.
#include "skerry.h"

static double limit = 80;
static char data[4096], topic[256]; // of the event; they stay until the next one

// join writes a, b and c one behind the other and returns their length.
static skerry_len join(char *to, const char *a, skerry_len an, const char *b, skerry_len bn, const char *c, skerry_len cn) {
  skerry_len at = skerry_copy(to, a, an);
  at += skerry_copy(to + at, b, bn);
  return at + skerry_copy(to + at, c, cn);
}

// Runs once, before the first event.
SKERRY_INIT {
  char text[32];
  int ok = 0;
  skerry_int n = skerry_config_get(SKERRY_STR("LIMIT"), text, sizeof text);
  if (n == SKERRY_ENOTFOUND) return 0;
  if (n > 0 && n <= (skerry_int)sizeof text) limit = skerry_number(text, n, &ok);
  if (!ok) return skerry_fail(1, "LIMIT is not a number; set it in the function's env");
  return 0;
}

// sensor_name is the part of sensors/<sensor>/temperature in the middle.
static skerry_len sensor_name(const char **name) {
  skerry_int n = skerry_event_get(SKERRY_SUBJECT, topic, sizeof topic);
  skerry_int start = 0, end;
  if (n > (skerry_int)sizeof topic) return 0;
  while (start < n && topic[start] != '/') start++;
  for (end = ++start; end < n && topic[end] != '/';) end++;
  *name = topic + start;
  return end < n ? end - start : 0;
}

// Runs for each event. What it decides takes effect when it returns
// SKERRY_COMMIT, all of it, and none of it otherwise.
SKERRY_HANDLE {
  const char *value, *name = topic;
  char key[264], to[264], line[280], was;
  int ok = 0;

  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data);
  if (n > (skerry_int)sizeof data) return skerry_fail(SKERRY_REJECT, "the event is too long");
  skerry_int vn = skerry_json(data, n, SKERRY_STR("temperature"), &value);
  double temperature = vn > 0 ? skerry_number(value, vn, &ok) : 0;
  if (!ok) return skerry_fail(SKERRY_REJECT, "the event has no number \"temperature\"");
  skerry_len nn = sensor_name(&name);
  if (nn == 0) return skerry_fail(SKERRY_REJECT, "the topic is not sensors/<sensor>/temperature");

  skerry_len kn = join(key, SKERRY_STR("hot/"), name, nn, SKERRY_STR(""));
  int hot = skerry_kv_get(key, kn, &was, 1) >= 0;
  if ((temperature >= limit) == hot) return SKERRY_COMMIT; // nothing new

  if (hot) {
    skerry_log(SKERRY_INFO, line, join(line, SKERRY_STR(""), name, nn, SKERRY_STR(" has cooled down")));
    return skerry_kv_delete(key, kn) < 0 ? SKERRY_FAILED : SKERRY_COMMIT;
  }
  skerry_log(SKERRY_WARN, line, join(line, SKERRY_STR(""), name, nn, SKERRY_STR(" is too hot")));
  skerry_len tn = join(to, SKERRY_STR("alarms/"), name, nn, SKERRY_STR(""));
  // When the host refuses a call, it says itself why.
  if (skerry_kv_set(key, kn, SKERRY_STR("1"), 0) < 0) return SKERRY_FAILED;   // the state, kept for the next event
  if (skerry_publish(to, tn, data, n, SKERRY_QOS1) < 0) return SKERRY_FAILED; // to the broker here
  // To the cloud, as soon as there is a link.
  if (skerry_followup(SKERRY_STR("alarms"), SKERRY_STR("application/json"), data, n) < 0) return SKERRY_FAILED;
  return SKERRY_COMMIT;
}
