// Overheat raises one alarm when a sensor crosses LIMIT upward, and is silent
// until the sensor has been below LIMIT - 5 again.
#include "skerry.h"

enum { MAX_EVENT = 2048, MAX_ID = 64, MAX_NUMBER = 32 };

static const double hysteresis = 5;

static char limit_text[MAX_NUMBER] = "80";
static skerry_len limit_len = 2;
static double limit = 80;

static char data[MAX_EVENT], topic[512], key[MAX_ID + 4] = "hot/";
static char out[512];

SKERRY_INIT {
  char text[MAX_NUMBER];
  skerry_int n = skerry_config_get(SKERRY_STR("LIMIT"), text, sizeof text);
  if (n == SKERRY_ENOTFOUND) return 0;
  int ok = 0;
  if (n > 0 && n <= MAX_NUMBER) limit = skerry_number(text, n, &ok);
  if (!ok) return skerry_fail(1, "LIMIT is not a number; set it in the function's env");
  limit_len = skerry_copy(limit_text, text, n);
  return 0;
}

// sensor_id finds <id> in sensors/<line>/<id>/temperature.
static skerry_len sensor_id(skerry_len n, const char **id) {
  skerry_len end = n;
  while (end > 0 && topic[end - 1] != '/') end--;
  if (end == 0) return 0;
  skerry_len start = --end;
  while (start > 0 && topic[start - 1] != '/') start--;
  *id = topic + start;
  return end - start;
}

// plain tells whether text can stand in JSON as it is.
static int plain(const char *text, skerry_len n) {
  for (skerry_len i = 0; i < n; i++)
    if (text[i] == '"' || text[i] == '\\') return 0;
  return n > 0 && n <= MAX_ID;
}

// member appends ,"name":value with the value as it stands in the event.
static skerry_len member(skerry_len at, const char *name, skerry_len nn, skerry_len n) {
  const char *value;
  skerry_int vn = skerry_json(data, n, name, nn, &value);
  if (vn <= 0 || vn > MAX_NUMBER) return at;
  at += skerry_copy(out + at, SKERRY_STR(",\""));
  at += skerry_copy(out + at, name, nn);
  at += skerry_copy(out + at, SKERRY_STR("\":"));
  return at + skerry_copy(out + at, value, vn);
}

// alarm_text writes {"id":"…","limit":80,"temperature":81.5,"seq":7,"ts":…}.
static skerry_len alarm_text(const char *id, skerry_len idn, skerry_len n) {
  skerry_len at = skerry_copy(out, SKERRY_STR("{\"id\":\""));
  at += skerry_copy(out + at, id, idn);
  at += skerry_copy(out + at, SKERRY_STR("\",\"limit\":"));
  at += skerry_copy(out + at, limit_text, limit_len);
  at = member(at, SKERRY_STR("temperature"), n);
  at = member(at, SKERRY_STR("seq"), n);
  at = member(at, SKERRY_STR("ts"), n);
  out[at++] = '}';
  return at;
}

static int raise_alarm(const char *id, skerry_len idn, skerry_len kn, skerry_len n) {
  char to[MAX_ID + 32];
  skerry_len tn = skerry_copy(to, SKERRY_STR("alerts/"));
  tn += skerry_copy(to + tn, id, idn);
  tn += skerry_copy(to + tn, SKERRY_STR("/overheat"));
  skerry_len an = alarm_text(id, idn, n);
  // The host says itself why it refuses.
  if (skerry_kv_set(key, kn, SKERRY_STR("1"), 0) < 0) return SKERRY_FAILED;
  if (skerry_publish(to, tn, out, an, SKERRY_QOS1) < 0) return SKERRY_FAILED;
  if (skerry_followup(SKERRY_STR("alerts"), SKERRY_STR("application/json"), out, an) < 0) return SKERRY_FAILED;
  return SKERRY_COMMIT;
}

SKERRY_HANDLE {
  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data);
  const char *text;
  int ok = 0;
  double temperature = 0;
  if (n < 0 || n > MAX_EVENT) return skerry_fail(SKERRY_REJECT, "the event has more than 2048 bytes");
  skerry_int vn = skerry_json(data, n, SKERRY_STR("temperature"), &text);
  if (vn > 0) temperature = skerry_number(text, vn, &ok);
  if (!ok) return skerry_fail(SKERRY_REJECT, "the event has no number \"temperature\"");
  if (temperature < limit && temperature >= limit - hysteresis) return SKERRY_COMMIT; // neither raises nor clears

  const char *id = topic;
  skerry_int tn = skerry_event_get(SKERRY_SUBJECT, topic, sizeof topic);
  if (tn < 0 || tn > (skerry_int)sizeof topic) return skerry_fail(SKERRY_REJECT, "the topic is too long");
  skerry_len idn = sensor_id(tn, &id);
  if (!plain(id, idn)) return skerry_fail(SKERRY_REJECT, "the topic is not sensors/<line>/<id>/temperature");
  skerry_len kn = 4 + skerry_copy(key + 4, id, idn);
  char was;
  int hot = skerry_kv_get(key, kn, &was, 1) >= 0;
  if (temperature >= limit) return hot ? SKERRY_COMMIT : raise_alarm(id, idn, kn, n);
  if (hot && skerry_kv_delete(key, kn) < 0) return SKERRY_FAILED;
  return SKERRY_COMMIT;
}
