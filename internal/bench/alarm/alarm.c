// The work of the bench: publish an alarm for each reading above 80.
#include "skerry.h"

static char data[2048], out[512];

static skerry_len member(skerry_len at, skerry_int n, const char *name, skerry_len nn) {
  const char *value;
  skerry_int vn = skerry_json(data, n, name, nn, &value);
  if (vn <= 0 || vn > 32) return at;
  at += skerry_copy(out + at, SKERRY_STR(",\""));
  at += skerry_copy(out + at, name, nn);
  at += skerry_copy(out + at, SKERRY_STR("\":"));
  return at + skerry_copy(out + at, value, vn);
}

SKERRY_HANDLE {
  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data);
  const char *text;
  int ok = 0;
  if (n < 0 || n > (skerry_int)sizeof data) return skerry_fail(SKERRY_REJECT, "the event has more than 2048 bytes");
  skerry_int vn = skerry_json(data, n, SKERRY_STR("temperature"), &text);
  double temperature = vn > 0 ? skerry_number(text, vn, &ok) : 0;
  if (!ok) return skerry_fail(SKERRY_REJECT, "the event has no number \"temperature\"");
  if (temperature <= 80) return SKERRY_COMMIT;
  skerry_len at = skerry_copy(out, SKERRY_STR("{\"alarm\":\"high\""));
  skerry_int in = skerry_json(data, n, SKERRY_STR("id"), &text);
  if (in > 0 && in <= 64) {
    at += skerry_copy(out + at, SKERRY_STR(",\"id\":\""));
    at += skerry_copy(out + at, text, in);
    out[at++] = '"';
  }
  at = member(at, n, SKERRY_STR("seq"));
  at = member(at, n, SKERRY_STR("ts"));
  at = member(at, n, SKERRY_STR("temperature"));
  out[at++] = '}';
  char qos[2];
  skerry_len flags = skerry_config_get(SKERRY_STR("QOS"), qos, sizeof qos) == 1 && qos[0] == '1' ? SKERRY_QOS1 : SKERRY_QOS0;
  if (skerry_publish(SKERRY_STR("alarms/temperature"), out, at, flags) < 0) return skerry_fail(3, "cannot publish");
  return SKERRY_COMMIT;
}
