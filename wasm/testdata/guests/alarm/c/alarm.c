// Alarm asks central for help when a sensor's temp is above the threshold.
#include "skerry.h"

static char data[4096], out[256] = "{\"alarm\":\"hot\"", text[32];
static skerry_int text_len;
static double threshold;

SKERRY_INIT {
  int ok = 0;
  text_len = skerry_config_get(SKERRY_STR("threshold"), text, sizeof text);
  if (text_len > 0 && text_len <= (skerry_int)sizeof text) threshold = skerry_number(text, text_len, &ok);
  return ok ? 0 : skerry_fail(1, "threshold is not a number; set it in the function's env");
}

// member appends ,"name":value as the event has it.
static skerry_len member(skerry_len at, const char *label, skerry_len ln, const char *v, skerry_int vn) {
  at += skerry_copy(out + at, label, ln);
  return at + skerry_copy(out + at, v, vn > 0 && vn <= 64 ? vn : 0);
}

SKERRY_HANDLE {
  const char *v, *temp;
  int ok = 0;
  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data), vn;
  if (n < 0 || n > (skerry_int)sizeof data) return skerry_fail(SKERRY_REJECT, "the event has more than 4 KiB");
  skerry_int tn = skerry_json(data, n, SKERRY_STR("temp"), &temp);
  double t = tn > 0 ? skerry_number(temp, tn, &ok) : 0;
  if (!ok) return skerry_fail(SKERRY_REJECT, "the event has no number temp");
  if (t <= threshold) return SKERRY_COMMIT;
  skerry_len at = 14;
  vn = skerry_json(data, n, SKERRY_STR("sensor"), &v);
  at = member(at, SKERRY_STR(",\"sensor\":"), v, vn);
  vn = skerry_json(data, n, SKERRY_STR("line"), &v);
  at = member(at, SKERRY_STR(",\"line\":"), v, vn);
  at = member(at, SKERRY_STR(",\"temp\":"), temp, tn);
  at = member(at, SKERRY_STR(",\"limit\":"), text, text_len);
  out[at++] = '}';
  return skerry_followup(SKERRY_STR("central"), SKERRY_STR("application/json"), out, at) < 0 ? SKERRY_FAILED : SKERRY_COMMIT;
}
