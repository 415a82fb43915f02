/* skerry_json.h - read JSON where it stands, without a C library. skerry.h
 * includes it.
 *
 * A value is (pointer, length) of its text within the data: nothing is copied,
 * strings keep their quotes. Nothing is read behind the value that is asked for,
 * and what is passed by is not checked to be JSON. */
#ifndef SKERRY_JSON_H
#define SKERRY_JSON_H

#include "skerry.h"

/* Once per module, however often it is called. */
#define SKERRY_ONCE static inline __attribute__((noinline))

static inline skerry_len skerry_json_space(const char *s, skerry_len n, skerry_len i) {
  while (i < n && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t')) i++;
  return i;
}

/* The index behind the string that starts at i; 0 if it does not end. */
static inline skerry_len skerry_json_string(const char *s, skerry_len n, skerry_len i) {
  for (i++; i < n; i++) {
    if (s[i] == '"') return i + 1;
    if (s[i] == '\\') i++;
    else if ((unsigned char)s[i] < ' ') return 0;
  }
  return 0;
}

/* The index behind the value that starts at i; 0 if there is none. */
SKERRY_ONCE skerry_len skerry_json_skip(const char *s, skerry_len n, skerry_len i) {
  if (i >= n) return 0;
  if (s[i] == '"') return skerry_json_string(s, n, i);
  if (s[i] == '{' || s[i] == '[') {
    for (skerry_len depth = 0; i < n; i++) {
      char c = s[i];
      if (c == '"') {
        i = skerry_json_string(s, n, i);
        if (i-- == 0) return 0;
      } else if (c == '{' || c == '[') {
        depth++;
      } else if ((c == '}' || c == ']') && --depth == 0) {
        return i + 1;
      }
    }
    return 0;
  }
  skerry_len start = i;
  for (; i < n; i++) {
    char c = s[i];
    if (c == ',' || c == '}' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == ':' || c == '"' || c == '{' || c == '[') break;
  }
  return i > start ? i : 0;
}

static inline int skerry_json_hex(const char *s, skerry_len n, skerry_len i) {
  int v = 0;
  if (i > n || n - i < 4) return -1;
  for (skerry_len end = i + 4; i < end; i++) {
    char c = s[i], low = c | 0x20;
    if (c >= '0' && c <= '9') v = v << 4 | (c - '0');
    else if (low >= 'a' && low <= 'f') v = v << 4 | (low - 'a' + 10);
    else return -1;
  }
  return v;
}

/* One character of what stands between quotes at *i: its UTF-8 bytes in out
 * and their number; 0 if it is no proper escape. Half of a surrogate pair is U+FFFD. */
SKERRY_ONCE skerry_len skerry_json_char(const char *s, skerry_len n, skerry_len *i, char out[4]) {
  char c = s[(*i)++];
  out[0] = c;
  if (c != '\\') return 1;
  if (*i >= n) return 0;
  c = s[(*i)++];
  out[0] = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
  if (c == '"' || c == '\\' || c == '/' || out[0] != c) return 1;
  int v = c == 'u' ? skerry_json_hex(s, n, *i) : -1;
  if (v < 0) return 0;
  *i += 4;
  if (v >= 0xd800 && v < 0xe000) {
    int low = n - *i >= 6 && s[*i] == '\\' && s[*i + 1] == 'u' ? skerry_json_hex(s, n, *i + 2) : -1;
    if (v < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
      v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
      *i += 6;
    } else {
      v = 0xfffd;
    }
  }
  if (v < 0x80) return out[0] = (char)v, 1;
  if (v < 0x800) return out[0] = (char)(0xc0 | v >> 6), out[1] = (char)(0x80 | (v & 63)), 2;
  if (v < 0x10000) return out[0] = (char)(0xe0 | v >> 12), out[1] = (char)(0x80 | (v >> 6 & 63)), out[2] = (char)(0x80 | (v & 63)), 3;
  out[0] = (char)(0xf0 | v >> 18), out[1] = (char)(0x80 | (v >> 12 & 63)), out[2] = (char)(0x80 | (v >> 6 & 63)), out[3] = (char)(0x80 | (v & 63));
  return 4;
}

static inline int skerry_json_key(const char *s, skerry_len n, const char *key, skerry_len kn) {
  char out[4];
  skerry_len at = 0;
  if (n == kn && skerry_same(s, key, n)) {
    for (at = 0; at < n && s[at] != '\\'; at++) {}
    return at == n;
  }
  if (n <= kn) return 0; /* an escape is longer than what it stands for */
  for (skerry_len i = 0; i < n;) {
    skerry_len c = skerry_json_char(s, n, &i, out);
    if (c == 0 || kn - at < c || !skerry_same(out, key + at, c)) return 0;
    at += c;
  }
  return at == kn;
}

/* The member or element of the object or list s: by key, or, if key is 0, the
 * kn-th. The result is the value's length, SKERRY_ENOTFOUND, or SKERRY_EINVAL
 * if s is not JSON or has no members. */
SKERRY_ONCE skerry_int skerry_json_child(const char *s, skerry_len n, const char *key, skerry_len kn, const char **value) {
  skerry_len i = skerry_json_space(s, n, 0);
  char close = key ? '}' : ']';
  if (i >= n || s[i] != (key ? '{' : '[')) return SKERRY_EINVALID;
  i = skerry_json_space(s, n, i + 1);
  if (i < n && s[i] == close) return SKERRY_ENOTFOUND;
  for (;;) {
    int found = !key && kn-- == 0;
    if (key) {
      skerry_len end = i < n && s[i] == '"' ? skerry_json_string(s, n, i) : 0;
      if (end == 0) return SKERRY_EINVALID;
      found = skerry_json_key(s + i + 1, end - i - 2, key, kn);
      i = skerry_json_space(s, n, end);
      if (i >= n || s[i] != ':') return SKERRY_EINVALID;
      i = skerry_json_space(s, n, i + 1);
    }
    skerry_len end = skerry_json_skip(s, n, i);
    if (end == 0) return SKERRY_EINVALID;
    if (found) return *value = s + i, (skerry_int)(end - i);
    i = skerry_json_space(s, n, end);
    if (i < n && s[i] == close) return SKERRY_ENOTFOUND;
    if (i >= n || s[i] != ',') return SKERRY_EINVALID;
    i = skerry_json_space(s, n, i + 1);
  }
}

/* skerry_json finds a member of an object: *value points into data. It returns
 * the value's length, SKERRY_ENOTFOUND, or SKERRY_EINVALID if data is not JSON
 * or no object. Ask again within the value for what lies deeper. */
static inline skerry_int skerry_json(const char *data, skerry_len n, const char *key, skerry_len kn, const char **value) {
  return skerry_json_child(data, n, key, kn, value);
}

/* skerry_json_at is skerry_json for an element of a list, the first has index 0. */
static inline skerry_int skerry_json_at(const char *data, skerry_len n, skerry_len index, const char **value) {
  return skerry_json_child(data, n, 0, index, value);
}

/* skerry_text resolves the escapes of a JSON string into buf. It returns the
 * length, of which only cap bytes are written, or SKERRY_EINVALID. */
static inline skerry_int skerry_text(const char *value, skerry_len n, char *buf, skerry_len cap) {
  char out[4];
  skerry_len at = 0;
  if (n < 2 || value[0] != '"') return SKERRY_EINVALID;
  for (skerry_len i = 1; i < n - 1;) {
    skerry_len c = skerry_json_char(value, n - 1, &i, out);
    if (c == 0) return SKERRY_EINVALID;
    for (skerry_len j = 0; j < c; j++, at++)
      if (at < cap) buf[at] = out[j];
  }
  return (skerry_int)at;
}

/* skerry_number reads a number as JSON writes it, such as -12.5e3; *ok is 0 if
 * it is none or too large. Exact up to 15 digits and 22 places, else to a part in 10^15. */
SKERRY_ONCE double skerry_number(const char *s, skerry_len n, int *ok) {
  static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  skerry_len i = 0, start;
  unsigned long long m = 0;
  int negative = 0, e = 0, x = 0;
  *ok = 0;
  if (i < n && s[i] == '-') negative = 1, i++;
  for (start = i; i < n && s[i] >= '0' && s[i] <= '9'; i++)
    if (m < 100000000000000000ULL) m = m * 10 + (unsigned)(s[i] - '0');
    else e++;
  if (i == start || (s[start] == '0' && i > start + 1)) return 0;
  if (i < n && s[i] == '.') {
    for (start = ++i; i < n && s[i] >= '0' && s[i] <= '9'; i++)
      if (m < 100000000000000000ULL) m = m * 10 + (unsigned)(s[i] - '0'), e--;
    if (i == start) return 0;
  }
  if (i < n && (s[i] == 'e' || s[i] == 'E')) {
    int minus = 0;
    if (++i < n && (s[i] == '-' || s[i] == '+')) minus = s[i++] == '-';
    for (start = i; i < n && s[i] >= '0' && s[i] <= '9'; i++)
      if (x < 100000) x = x * 10 + (s[i] - '0');
    if (i == start) return 0;
    e += minus ? -x : x;
  }
  double v = (double)m;
  for (; m && e > 22 && v < 1e300; e -= 22) v *= 1e22;
  for (; m && e < -22 && v > 0; e += 22) v /= 1e22;
  if (m) v = e > 22 ? 1e308 * 10 : e >= 0 ? v * tens[e] : e >= -22 ? v / tens[-e] : 0;
  *ok = i == n && v <= 1.7976931348623157e308;
  return negative ? -v : v;
}

/* skerry_integer reads a number without fraction and exponent; *ok is 0 if it
 * is none or needs more than 64 bits. */
static inline skerry_i64 skerry_integer(const char *s, skerry_len n, int *ok) {
  skerry_len i = n > 0 && s[0] == '-' ? 1 : 0, start = i;
  unsigned long long v = 0, most = 9223372036854775807ULL + i;
  for (*ok = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) {
    unsigned d = (unsigned)(s[i] - '0');
    if (v > (most - d) / 10) return 0;
    v = v * 10 + d;
  }
  if (i != n || i == start || (s[start] == '0' && n > start + 1)) return 0;
  *ok = 1;
  return (skerry_i64)(start ? 0 - v : v);
}

#endif
