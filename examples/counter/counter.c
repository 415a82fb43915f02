// Counter counts events per topic and in all, and sends each event on to the
// central target: what arrives there can be compared with what was counted.
#include "skerry.h"

static char data[64 << 10], type[128], key[6 + 512] = "count/";

SKERRY_HANDLE {
  skerry_int n = skerry_event_get(SKERRY_DATA, data, sizeof data);
  if (n < 0 || n > (skerry_int)sizeof data) return skerry_fail(SKERRY_REJECT, "the event has more than 64 KiB");
  skerry_int kn = skerry_event_get(SKERRY_SUBJECT, key + 6, 250);
  if (kn < 0 || kn > 250) return skerry_fail(SKERRY_REJECT, "the topic has more than 250 bytes");
  skerry_int tn = skerry_event_get(SKERRY_CONTENT_TYPE, type, sizeof type);
  if (tn < 0 || tn > (skerry_int)sizeof type) tn = 0;

  // The host says itself why it refuses.
  if (skerry_kv_add(key, 6 + kn, 1) == SKERRY_ADD_FAILED) return SKERRY_FAILED;
  if (skerry_kv_add(SKERRY_STR("total"), 1) == SKERRY_ADD_FAILED) return SKERRY_FAILED;
  if (skerry_followup(SKERRY_STR("central"), type, tn, data, n) < 0) return SKERRY_FAILED;
  return SKERRY_COMMIT;
}
