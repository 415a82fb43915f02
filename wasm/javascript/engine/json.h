/* json.h - reading and writing the JSON that events are made of.
 *
 * QuickJS's own reader makes a string and looks up an atom for every word, and
 * its writer asks every value for a toJSON method: that was most of the time of
 * a run. This knows what a QuickJS object looks like inside. Whatever is out of
 * the ordinary (a getter, a proxy, an index as a name, a syntax error) is left
 * to QuickJS, which also says what is wrong.
 */

enum { JSON_DEPTH = 64 };

/* ---- reading ---- */

typedef struct {
  const uint8_t *p, *end;
  int depth;
} Reader;

static inline void skip_space(Reader *r) {
  while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\r' || *r->p == '\t')) r->p++;
}

static inline int next_is(Reader *r, char c) {
  skip_space(r);
  if (r->p == r->end || *r->p != c) return 0;
  r->p++;
  return 1;
}

/* plain_string finds the end of a string of printable ASCII without escapes. */
static inline const uint8_t *plain_string(Reader *r, size_t *n) {
  const uint8_t *start = r->p, *p = start;
  while (p < r->end && *p != '"' && *p != '\\' && *p >= ' ' && *p < 0x80) p++;
  if (p == r->end || *p != '"') return NULL;
  *n = p - start;
  r->p = p + 1;
  return start;
}

/* read_number reads what a double holds exactly as digits and a power of ten. */
static JSValue read_number(Reader *r) {
  static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
  const uint8_t *p = r->p;
  int negative = p < r->end && *p == '-', digits = 0, decimals = 0;
  uint64_t n = 0;
  p += negative;
  if (p + 1 < r->end && *p == '0' && p[1] >= '0' && p[1] <= '9') return JS_UNINITIALIZED;
  for (; p < r->end && *p >= '0' && *p <= '9'; p++, digits++) n = n * 10 + (*p - '0');
  if (!digits || digits > 15) return JS_UNINITIALIZED;
  if (p < r->end && *p == '.') {
    for (p++; p < r->end && *p >= '0' && *p <= '9'; p++, decimals++) n = n * 10 + (*p - '0');
    if (!decimals) return JS_UNINITIALIZED;
  }
  if (digits + decimals > 15 || (p < r->end && (*p == 'e' || *p == 'E'))) return JS_UNINITIALIZED;
  r->p = p;
  if (!decimals && (n || !negative)) return JS_NewInt64(ctx, negative ? -(int64_t)n : (int64_t)n);
  double d = (double)n / powers[decimals];
  return JS_NewFloat64(ctx, negative ? -d : d);
}

static JSValue read_value(Reader *r);

static int read_members(Reader *r, JSValue object) {
  JSObject *o = JS_VALUE_GET_OBJ(object);
  if (next_is(r, '}')) return 0;
  do {
    size_t n;
    if (!next_is(r, '"')) return -1;
    const uint8_t *name = plain_string(r, &n);
    if (!name || !n || (*name >= '0' && *name <= '9') || !next_is(r, ':')) return -1;
    JSValue v = read_value(r);
    if (JS_IsUninitialized(v)) return -1;
    JSAtom atom = JS_NewAtomLen(ctx, (const char *)name, n);
    JSProperty *at;
    JSProperty *place = !atom || find_own_property(&at, o, atom) ? NULL : add_property(ctx, o, atom, JS_PROP_C_W_E);
    JS_FreeAtom(ctx, atom);
    if (!place) return JS_FreeValue(ctx, v), -1; /* named twice, or out of memory */
    place->u.value = v;
  } while (next_is(r, ','));
  return next_is(r, '}') ? 0 : -1;
}

static int read_elements(Reader *r, JSValue array) {
  JSObject *o = JS_VALUE_GET_OBJ(array);
  if (next_is(r, ']')) return 0;
  do {
    JSValue v = read_value(r);
    if (JS_IsUninitialized(v)) return -1;
    uint32_t n = o->u.array.count;
    if (n >= o->u.array.u1.size && expand_fast_array(ctx, o, n + 1)) return JS_FreeValue(ctx, v), -1;
    o->u.array.u.values[n] = v;
    o->u.array.count = n + 1;
    o->prop[0].u.value = JS_NewInt32(ctx, n + 1); /* length */
  } while (next_is(r, ','));
  return next_is(r, ']') ? 0 : -1;
}

static inline int read_word(Reader *r, const char *word, size_t n) {
  if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n)) return 0;
  r->p += n;
  return 1;
}

/* read_value returns JS_UNINITIALIZED for what is not for this reader. */
static JSValue read_value(Reader *r) {
  size_t n;
  skip_space(r);
  if (r->p == r->end || r->depth == JSON_DEPTH) return JS_UNINITIALIZED;
  switch (*r->p) {
  case '"': {
    r->p++;
    const uint8_t *s = plain_string(r, &n);
    return s ? js_new_string8_len(ctx, (const char *)s, n) : JS_UNINITIALIZED;
  }
  case '{':
  case '[': {
    int is_array = *r->p++ == '[';
    JSValue v = is_array ? JS_NewArray(ctx) : JS_NewObject(ctx);
    r->depth++;
    if (JS_IsException(v)) return JS_UNINITIALIZED;
    if (is_array ? read_elements(r, v) : read_members(r, v)) return JS_FreeValue(ctx, v), JS_UNINITIALIZED;
    r->depth--;
    return v;
  }
  case 't': return read_word(r, "true", 4) ? JS_TRUE : JS_UNINITIALIZED;
  case 'f': return read_word(r, "false", 5) ? JS_FALSE : JS_UNINITIALIZED;
  case 'n': return read_word(r, "null", 4) ? JS_NULL : JS_UNINITIALIZED;
  }
  return read_number(r);
}

/* parse_json is JS_ParseJSON; text has a NUL behind it. */
static JSValue parse_json(const char *text, size_t n) {
  Reader r = {(const uint8_t *)text, (const uint8_t *)text + n};
  JSValue v = read_value(&r);
  skip_space(&r);
  if (!JS_IsUninitialized(v) && !JS_IsException(v) && r.p == r.end) return v;
  JS_FreeValue(ctx, v);
  if (JS_HasException(ctx)) JS_FreeValue(ctx, JS_GetException(ctx)); /* memory: it will be missing again */
  return JS_ParseJSON(ctx, text, n, "JSON");
}

/* ---- writing ---- */

static char *out; /* what is written, until the next call */
static size_t out_n, out_cap;

static int out_reserve(size_t n) {
  if (out_n + n <= out_cap) return 0;
  size_t want = (out_n + n) * 2;
  char *p = realloc(out, want);
  if (!p) return -1;
  out = p, out_cap = want;
  return 0;
}

static inline int out_put(const char *s, size_t n) {
  if (out_reserve(n)) return -1;
  memcpy(out + out_n, s, n);
  out_n += n;
  return 0;
}

static int write_string(const JSString *s) {
  if (s->is_wide_char || out_reserve(s->len + 2)) return -1;
  char *p = out + out_n;
  *p++ = '"';
  for (uint32_t i = 0; i < s->len; i++) {
    uint8_t c = s->u.str8[i];
    if (c < ' ' || c == '"' || c == '\\' || c >= 0x80) return -1;
    *p++ = c;
  }
  *p++ = '"';
  out_n = p - out;
  return 0;
}

static int write_int(int64_t n) {
  char text[24], *p = text + sizeof text;
  uint64_t u = n < 0 ? -(uint64_t)n : (uint64_t)n;
  do *--p = '0' + u % 10;
  while (u /= 10);
  if (n < 0) *--p = '-';
  return out_put(p, text + sizeof text - p);
}

/* write_double writes at most three decimals itself. Of the texts of 15 digits
 * or fewer only one reads as d, so that it is the shortest. */
static int write_double(double d) {
  static const double powers[] = {1, 10, 100, 1000};
  if (d != d || d - d != 0) return out_put("null", 4);
  for (int decimals = 0; decimals <= 3; decimals++) {
    double m = d * powers[decimals];
    if (fabs(m) >= 1e15) break;
    int64_t n = (int64_t)m;
    if ((double)n != m || m / powers[decimals] != d) continue;
    if (!decimals) return write_int(n);
    int64_t whole = n / (int64_t)powers[decimals], rest = n % (int64_t)powers[decimals];
    if (rest < 0) rest = -rest;
    if (n < 0 && whole == 0 && out_put("-", 1)) return -1;
    if (write_int(whole) || out_put(".", 1)) return -1;
    char digits[3];
    for (int i = decimals - 1; i >= 0; i--, rest /= 10) digits[i] = '0' + rest % 10;
    while (digits[decimals - 1] == '0') decimals--; /* 0.57 * 100 is no whole number, 0.57 * 1000 is */
    return out_put(digits, decimals);
  }
  char text[128];
  JSDTOATempMem mem;
  return out_put(text, js_dtoa(text, d, 10, 0, JS_DTOA_FORMAT_FREE, &mem));
}

/* has_own_json tells whether a prototype was given a toJSON. */
static int has_own_json(JSContext *c, JSClassID class) {
  JSProperty *at;
  return find_own_property(&at, JS_VALUE_GET_OBJ(c->class_proto[class]), JS_ATOM_toJSON) != NULL;
}

static int write_value(JSValueConst v, int depth);

static int write_members(JSObject *o, int depth) {
  JSShape *shape = o->shape;
  JSShapeProperty *prop = get_shape_prop(shape);
  int first = 1;
  if (shape->has_small_array_index || out_put("{", 1)) return -1;
  for (int i = 0; i < shape->prop_count; i++) {
    JSAtom atom = prop[i].atom;
    if (atom == JS_ATOM_NULL || !(prop[i].flags & JS_PROP_ENUMERABLE)) continue;
    if (atom == JS_ATOM_toJSON || (prop[i].flags & JS_PROP_TMASK) != JS_PROP_NORMAL || __JS_AtomIsTaggedInt(atom)) return -1;
    JSAtomStruct *name = rt->atom_array[atom];
    if (name->atom_type != JS_ATOM_TYPE_STRING) continue;
    JSValueConst v = o->prop[i].u.value;
    if (JS_IsUndefined(v) || JS_IsSymbol(v)) continue;
    if (!first && out_put(",", 1)) return -1;
    first = 0;
    if (write_string(name) || out_put(":", 1) || write_value(v, depth)) return -1;
  }
  return out_put("}", 1);
}

static int write_elements(JSObject *o, int depth) {
  if (!o->fast_array || o->shape->prop_count != 1 || out_put("[", 1)) return -1;
  if (JS_VALUE_GET_TAG(o->prop[0].u.value) != JS_TAG_INT || (uint32_t)JS_VALUE_GET_INT(o->prop[0].u.value) != o->u.array.count) return -1;
  for (uint32_t i = 0; i < o->u.array.count; i++) {
    if (i && out_put(",", 1)) return -1;
    if (write_value(o->u.array.u.values[i], depth)) return -1;
  }
  return out_put("]", 1);
}

/* write_value returns -1 for what is not for this writer. */
static int write_value(JSValueConst v, int depth) {
  switch (JS_VALUE_GET_NORM_TAG(v)) {
  case JS_TAG_INT: return write_int(JS_VALUE_GET_INT(v));
  case JS_TAG_FLOAT64: return write_double(JS_VALUE_GET_FLOAT64(v));
  case JS_TAG_BOOL: return JS_VALUE_GET_BOOL(v) ? out_put("true", 4) : out_put("false", 5);
  case JS_TAG_NULL: return out_put("null", 4);
  case JS_TAG_STRING: return write_string(JS_VALUE_GET_STRING(v));
  case JS_TAG_OBJECT: break;
  default: return -1;
  }
  JSObject *o = JS_VALUE_GET_OBJ(v);
  if (depth == JSON_DEPTH || o->is_exotic && o->class_id != JS_CLASS_ARRAY) return -1;
  if (o->class_id != JS_CLASS_OBJECT && o->class_id != JS_CLASS_ARRAY) return -1;
  if (o->shape->proto != JS_VALUE_GET_OBJ(ctx->class_proto[o->class_id])) return -1;
  return o->class_id == JS_CLASS_ARRAY ? write_elements(o, depth + 1) : write_members(o, depth + 1);
}

/* write_json writes v into out and returns 1; 0 leaves it to JS_JSONStringify. */
static int write_json(JSValueConst v) {
  out_n = 0;
  if (JS_IsObject(v) && (has_own_json(ctx, JS_CLASS_OBJECT) || has_own_json(ctx, JS_CLASS_ARRAY))) return 0;
  return write_value(v, 0) == 0;
}

/* ---- JSON.parse and JSON.stringify ---- */

static JSValue json_parse(JSContext *c, JSValueConst this, int argc, JSValueConst *argv) {
  if (argc > 1 && JS_IsFunction(c, argv[1])) return js_json_parse(c, this, argc, argv);
  size_t n;
  const char *text = JS_ToCStringLen(c, &n, argv[0]);
  if (!text) return JS_EXCEPTION;
  JSValue v = parse_json(text, n);
  JS_FreeCString(c, text);
  return v;
}

static JSValue json_stringify(JSContext *c, JSValueConst this, int argc, JSValueConst *argv) {
  if (argc < 2 && write_json(argv[0])) return js_new_string8_len(c, out, out_n);
  return JS_JSONStringify(c, argv[0], argc > 1 ? argv[1] : JS_UNDEFINED, argc > 2 ? argv[2] : JS_UNDEFINED);
}
