// Alarm asks central for help when a sensor's temp is above the threshold. This
// one is a WASI command: started for each event, which is its standard input.
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#include "skerry.h"

enum { REJECT = 65 };

static char data[4096], out[256] = "{\"alarm\":\"hot\"";

static skerry_len input(void) {
  skerry_len n = 0;
  for (;;) {
    __wasi_iovec_t to = {(uint8_t *)data + n, sizeof data - n};
    __wasi_size_t got = 0;
    if (__wasi_fd_read(0, &to, 1, &got) != 0 || got == 0) return n;
    n += got;
  }
}

static void reject(const char *why) {
  __wasi_ciovec_t from = {(const uint8_t *)why, strlen(why)};
  __wasi_size_t written;
  (void)!__wasi_fd_write(2, &from, 1, &written);
  _Exit(REJECT);
}

static skerry_len member(skerry_len at, const char *label, const char *v, skerry_int vn) {
  at += skerry_copy(out + at, label, strlen(label));
  return at + skerry_copy(out + at, v, vn > 0 && vn <= 64 ? vn : 0);
}

int main(void) {
  const char *text = getenv("threshold"), *v, *temp;
  int ok = 0;
  double threshold = text ? skerry_number(text, strlen(text), &ok) : 0;
  if (!ok) reject("threshold is not a number; set it in the function's env");
  skerry_len n = input();
  skerry_int tn = skerry_json(data, n, SKERRY_STR("temp"), &temp), vn;
  ok = 0;
  double t = tn > 0 ? skerry_number(temp, tn, &ok) : 0;
  if (!ok) reject("the event has no number temp");
  if (t <= threshold) return 0;
  skerry_len at = 14;
  vn = skerry_json(data, n, SKERRY_STR("sensor"), &v);
  at = member(at, ",\"sensor\":", v, vn);
  vn = skerry_json(data, n, SKERRY_STR("line"), &v);
  at = member(at, ",\"line\":", v, vn);
  at = member(at, ",\"temp\":", temp, tn);
  at = member(at, ",\"limit\":", text, strlen(text));
  out[at++] = '}';
  return skerry_followup(SKERRY_STR("central"), SKERRY_STR("application/json"), out, at) < 0;
}
