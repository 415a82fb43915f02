/* engine.c - JavaScript functions as one skerry_v1 guest (wasm/ABI.md).
 *
 * QuickJS is compiled into this file, so that what it keeps to itself can be
 * reached: eval is taken away once the function is loaded, and a run ends with
 * a look at who still holds the event. shim.js, beside it, is the part of the
 * interface that is easier said in JavaScript: conventions, console, timers.
 */
#include "quickjs.c"
#include "skerry.h"
#include "shim.h"

#undef malloc /* QuickJS forbids itself these */
#undef free
#undef realloc

#define SKERRY_JS(name) __attribute__((import_module("skerry_js"), import_name(#name)))
SKERRY_JS(source_get) skerry_int source_get(void *buf, skerry_len cap);
SKERRY_JS(limit_get) skerry_i64 limit_get(skerry_len which);

enum {
  FAILED = 3,             /* what skerry_handle returns where there is no verdict */
  STACK_SIZE = 96 << 10, /* of QuickJS: about 200 calls; the linker is given more, for C below it */
  ERROR_SIZE = 4000,
  MAX_REJECTED = 16,
};

/* Fields of an event: the numbers of event_get, and what is made of the data. */
enum { FIELD_PARSED = 0, FIELD_BYTES = 11, FIELDS };

typedef struct {
  JSValue field[FIELDS]; /* JS_UNINITIALIZED until somebody asks */
} Event;

static JSRuntime *rt;
static JSContext *ctx;
static JSClassID event_class;
static JSValue entry, skerry, shim_choose, shim_require, shim_tick, shim_clear, shim_unparsed;

#include "json.h"

/* What the run that goes on has come to; all of it is new with each event. */
static struct {
  int starting; /* no event yet: the function is being loaded */
  int verdict;  /* SKERRY_REJECT or SKERRY_RETRY, once it was said */
  int timers;   /* some may be left over */
  int rejected; /* promises that nobody listens to */
  struct {
    JSValue promise, reason;
  } reject[MAX_REJECTED];
  uint64_t random; /* state of Math.random; 0 is not seeded */
} run;

/* ---- bytes to and from the host ---- */

static uint8_t *buf; /* what the host writes to */
static size_t cap;

static int buf_grow(size_t n) {
  uint8_t *p = realloc(buf, n + 1);
  if (!p) return JS_ThrowOutOfMemory(ctx), -1;
  buf = p, cap = n;
  return 0;
}

/* FETCH sets n to what call answers, with buf large enough to hold it. */
#define FETCH(n, call)                                              \
  do {                                                              \
    n = (call);                                                     \
    if (n > (skerry_int)cap && buf_grow(n) == 0) n = (call);        \
    if (n > (skerry_int)cap) return JS_EXCEPTION;                   \
  } while (0)

/* A value as bytes: strings and buffers as they are, all else as JSON. The
 * bytes are good until the next value is turned into JSON. */
typedef struct {
  const uint8_t *data;
  size_t n;
  const char *text; /* to be freed, if not NULL */
} Bytes;

static int is_typed_array(JSValueConst v) {
  JSClassID id = JS_GetClassID(v);
  return id >= JS_CLASS_UINT8C_ARRAY && id < JS_CLASS_DATAVIEW;
}

static int bytes_of_buffer(JSValueConst v, Bytes *b) {
  if (!is_typed_array(v)) return b->data = JS_GetArrayBuffer(ctx, &b->n, v), b->data ? 0 : -1;
  size_t offset, size;
  JSValue whole = JS_GetTypedArrayBuffer(ctx, v, &offset, &b->n, NULL);
  if (JS_IsException(whole)) return -1;
  b->data = JS_GetArrayBuffer(ctx, &size, whole);
  JS_FreeValue(ctx, whole); /* v keeps it */
  if (!b->data && b->n) return -1;
  b->data += offset;
  return 0;
}

static int bytes_of(JSValueConst v, Bytes *b) {
  *b = (Bytes){(const uint8_t *)"", 0, NULL};
  if (JS_IsUndefined(v)) return 0;
  if (is_typed_array(v) || JS_GetClassID(v) == JS_CLASS_ARRAY_BUFFER) return bytes_of_buffer(v, b);
  if (JS_IsString(v)) {
    b->text = JS_ToCStringLen(ctx, &b->n, v);
  } else if (write_json(v)) {
    return b->data = (const uint8_t *)out, b->n = out_n, 0;
  } else {
    JSValue json = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(json)) return -1;
    if (JS_IsUndefined(json)) return JS_ThrowTypeError(ctx, "a function or a symbol cannot be sent"), -1;
    b->text = JS_ToCStringLen(ctx, &b->n, json);
    JS_FreeValue(ctx, json);
  }
  b->data = (const uint8_t *)b->text;
  return b->text ? 0 : -1;
}

static void bytes_free(Bytes *b) {
  if (b->text) JS_FreeCString(ctx, b->text);
}

static JSValue new_bytes(const void *data, size_t n) {
  JSValue buffer = JS_NewArrayBufferCopy(ctx, data, n);
  if (JS_IsException(buffer)) return buffer;
  JSValue array = JS_NewTypedArray(ctx, 3, (JSValueConst[]){buffer, JS_UNDEFINED, JS_UNDEFINED}, JS_TYPED_ARRAY_UINT8);
  JS_FreeValue(ctx, buffer);
  return array;
}

static int is_utf8(const uint8_t *p, size_t n) {
  const uint8_t *end = p + n;
  while (p < end) {
    int c = *p < 0x80 ? *p++ : unicode_from_utf8(p, end - p, &p);
    if (c < 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 0;
  }
  return 1;
}

/* Bytes whose content type nobody told: JSON if it is, text if it is, else bytes. */
static JSValue parse_data(const uint8_t *p, size_t n) {
  if (!is_utf8(p, n)) return new_bytes(p, n);
  JSValue v = parse_json((const char *)p, n);
  if (!JS_IsException(v)) return v;
  JS_FreeValue(ctx, JS_GetException(ctx));
  return JS_NewStringLen(ctx, (const char *)p, n);
}

/* ---- errors ---- */

static JSValue throw_error(const char *code, const char *text) {
  JSValue e = JS_NewError(ctx);
  JS_DefinePropertyValueStr(ctx, e, "message", JS_NewString(ctx, text), JS_PROP_CONFIGURABLE | JS_PROP_WRITABLE);
  JS_DefinePropertyValueStr(ctx, e, "code", JS_NewString(ctx, code), JS_PROP_C_W_E);
  return JS_Throw(ctx, e);
}

/* refusal_text writes why the host refused `call` about `what`: in the host's own
 * words if it has any, else as `why`. Words that name the call stand for
 * themselves; the name of an import says nothing to authors. */
static void refusal_text(char *text, size_t size, const char *call, const char *what, const char *why) {
  char said[1000];
  int n = run.starting ? 0 : skerry_error_get(said, sizeof said - 1);
  const char *host = said, *sep = *what && call[strlen(call) - 1] != '/' ? " " : "";
  said[n > 0 && n < (int)sizeof said ? n : 0] = 0;
  if (!strncmp(host, "kv_", 3) && strstr(host, ": ")) host = strstr(host, ": ") + 2;
  if (*host && !strncmp(host, call, strcspn(call, " /")))
    snprintf(text, size, "%s", host);
  else
    snprintf(text, size, "%s%s%.200s: %s", call, sep, what, *host ? host : why);
}

/* host_error throws what the host answered to `call` about `what`; `grant` is
 * where the manifest allows it. */
static JSValue host_error(int n, const char *call, const char *what, const char *grant) {
  char text[1300], why_denied[160];
  const char *code = "failed", *why = "the host failed; see the agent's log";
  switch (n) {
  case SKERRY_EINVALID: code = "invalid", why = "not valid"; break;
  case SKERRY_ENOTFOUND: code = "not-found", why = "not found"; break;
  case SKERRY_ELIMIT:
    code = "limit";
    why = !strcmp(call, "http")          ? "the request is too large, or the run makes too many"
          : !strncmp(call, "state.", 6) ? "the key or value is too large, or the state is full"
                                         : "more than limits.output or limits.outputs of the function allows";
    break;
  case SKERRY_EDENIED:
    code = "denied", why = why_denied;
    if (run.starting)
      snprintf(why_denied, sizeof why_denied, "works while an event is handled only; move it into the handler");
    else
      snprintf(why_denied, sizeof why_denied, "not granted; name it in %s of the manifest", grant);
  }
  refusal_text(text, sizeof text, call, what, why);
  return throw_error(code, text);
}

static JSValue answer(int n, const char *call, const char *what, const char *grant) {
  return n < 0 ? host_error(n, call, what, grant) : JS_UNDEFINED;
}

/* describe makes text of what was thrown: of an error, its message and stack. */
static int describe(JSValueConst e, char *text, size_t size) {
  static const char no_memory[] = "null was thrown, as it is when memory is out; raise limits.memory of the function";
  Bytes head = {0}, stack = {0};
  JSValue h = JS_UNDEFINED, s = JS_UNDEFINED;
  if (JS_IsNull(e)) return snprintf(text, size, no_memory);
  if (JS_IsError(ctx, e)) {
    h = JS_ToString(ctx, e);
    s = JS_GetPropertyStr(ctx, e, "stack");
    if (!JS_IsString(s) || bytes_of(s, &stack) < 0) stack.n = 0;
  }
  if (bytes_of(JS_IsString(h) ? h : e, &head) < 0 || JS_IsException(h) || !head.n)
    head = (Bytes){(const uint8_t *)"the function threw something that has no text", 45};
  int n = snprintf(text, size, "%.*s%s%.*s", (int)head.n, head.data, stack.n ? "\n" : "", (int)stack.n, stack.data);
  bytes_free(&head), bytes_free(&stack);
  JS_FreeValue(ctx, h), JS_FreeValue(ctx, s);
  if (JS_HasException(ctx)) JS_FreeValue(ctx, JS_GetException(ctx));
  return n;
}

/* report gives the pending exception to the host, as the reason of failing. */
static void report(void) {
  static char text[ERROR_SIZE];
  JSValue e = JS_GetException(ctx);
  int n = describe(e, text, sizeof text);
  if (n >= (int)sizeof text)
    for (n = sizeof text - 1; n > 0 && (text[n] & 0xc0) == 0x80; n--) {
    }
  while (n > 0 && text[n - 1] == '\n') n--;
  skerry_error_set(text, n);
  JS_FreeValue(ctx, e);
}

/* ---- the event ---- */

static JSValue parse_event_data(void) {
  char type[128];
  int tn = skerry_event_get(SKERRY_CONTENT_TYPE, type, sizeof type - 1), n;
  type[tn > 0 && tn < (int)sizeof type ? tn : 0] = 0;
  FETCH(n, skerry_event_get(SKERRY_DATA, buf, cap));
  if (n < 0) return host_error(n, "event", "data", "");
  buf[n] = 0;
  if (!*type) return parse_data(buf, n);
  if (strstr(type, "json")) {
    if (!is_utf8(buf, n)) return JS_ThrowSyntaxError(ctx, "the event's data is not UTF-8, but its content type is %s", type);
    return parse_json((const char *)buf, n);
  }
  int text = strncmp(type, "text/", 5) == 0 || strstr(type, "xml") || strstr(type, "x-www-form");
  return text && is_utf8(buf, n) ? JS_NewStringLen(ctx, (const char *)buf, n) : new_bytes(buf, n);
}

static JSValue load_field(int magic) {
  int n;
  if (magic == FIELD_PARSED) return parse_event_data();
  FETCH(n, skerry_event_get(magic == FIELD_BYTES ? SKERRY_DATA : magic, buf, cap));
  if (n < 0) return host_error(n, "event", "field", "");
  buf[n] = 0;
  switch (magic) {
  case FIELD_BYTES: return new_bytes(buf, n);
  case SKERRY_ATTEMPT: return JS_NewInt32(ctx, atoi((char *)buf));
  case SKERRY_TIME_MS: return JS_NewDate(ctx, strtod((char *)buf, NULL));
  }
  return JS_NewStringLen(ctx, (const char *)buf, n);
}

static JSValue event_field(JSContext *c, JSValueConst this, int magic) {
  Event *ev = JS_GetOpaque2(c, this, event_class);
  if (!ev) return JS_EXCEPTION;
  if (JS_IsUninitialized(ev->field[magic])) {
    JSValue v = load_field(magic);
    if (JS_IsException(v)) return v;
    ev->field[magic] = v;
  }
  return JS_DupValue(c, ev->field[magic]);
}

static JSValue event_bytes(JSContext *c, JSValueConst this, int argc, JSValueConst *argv) {
  return event_field(c, this, FIELD_BYTES);
}

static JSValue event_text(JSContext *c, JSValueConst this, int argc, JSValueConst *argv) {
  Bytes b;
  JSValue v = event_field(c, this, FIELD_BYTES);
  if (JS_IsException(v) || bytes_of(v, &b) < 0) return JS_EXCEPTION;
  JSValue s = JS_NewStringLen(c, (const char *)b.data, b.n);
  JS_FreeValue(c, v);
  return s;
}

static const struct {
  const char *name;
  int field;
} json_fields[] = {
    {"id", SKERRY_EVENT_ID},     {"source", SKERRY_SOURCE},   {"type", SKERRY_TYPE},
    {"subject", SKERRY_SUBJECT}, {"time", SKERRY_TIME_MS},    {"contentType", SKERRY_CONTENT_TYPE},
    {"trigger", SKERRY_TRIGGER}, {"attempt", SKERRY_ATTEMPT}, {"function", SKERRY_FUNCTION},
    {"data", FIELD_PARSED},
};

static JSValue event_to_json(JSContext *c, JSValueConst this, int argc, JSValueConst *argv) {
  JSValue o = JS_NewObject(c);
  for (size_t i = 0; i < countof(json_fields); i++) {
    JSValue v = event_field(c, this, json_fields[i].field);
    if (JS_IsException(v) || JS_SetPropertyStr(c, o, json_fields[i].name, v) < 0) return JS_FreeValue(c, o), JS_EXCEPTION;
  }
  return o;
}

static const JSCFunctionListEntry event_proto[] = {
    JS_CGETSET_MAGIC_DEF("data", event_field, NULL, FIELD_PARSED),
    JS_CGETSET_MAGIC_DEF("subject", event_field, NULL, SKERRY_SUBJECT),
    JS_CGETSET_MAGIC_DEF("topic", event_field, NULL, SKERRY_SUBJECT),
    JS_CGETSET_MAGIC_DEF("contentType", event_field, NULL, SKERRY_CONTENT_TYPE),
    JS_CGETSET_MAGIC_DEF("trigger", event_field, NULL, SKERRY_TRIGGER),
    JS_CGETSET_MAGIC_DEF("id", event_field, NULL, SKERRY_EVENT_ID),
    JS_CGETSET_MAGIC_DEF("time", event_field, NULL, SKERRY_TIME_MS),
    JS_CGETSET_MAGIC_DEF("source", event_field, NULL, SKERRY_SOURCE),
    JS_CGETSET_MAGIC_DEF("type", event_field, NULL, SKERRY_TYPE),
    JS_CGETSET_MAGIC_DEF("attempt", event_field, NULL, SKERRY_ATTEMPT),
    JS_CGETSET_MAGIC_DEF("function", event_field, NULL, SKERRY_FUNCTION),
    JS_CFUNC_DEF("bytes", 0, event_bytes),
    JS_CFUNC_DEF("text", 0, event_text),
    JS_CFUNC_DEF("toJSON", 0, event_to_json),
};

static void event_finalizer(JSRuntime *r, JSValue v) {
  Event *ev = JS_GetOpaque(v, event_class);
  if (!ev) return;
  for (int i = 0; i < FIELDS; i++) JS_FreeValueRT(r, ev->field[i]);
  js_free_rt(r, ev);
}

static void event_mark(JSRuntime *r, JSValueConst v, JS_MarkFunc *mark) {
  Event *ev = JS_GetOpaque(v, event_class);
  if (!ev) return;
  for (int i = 0; i < FIELDS; i++) JS_MarkValue(r, ev->field[i], mark);
}

static const JSClassDef event_class_def = {"Event", .finalizer = event_finalizer, .gc_mark = event_mark};

static JSValue new_event(void) {
  JSValue o = JS_NewObjectClass(ctx, event_class);
  if (JS_IsException(o)) return o;
  Event *ev = js_malloc(ctx, sizeof *ev);
  if (!ev) return JS_FreeValue(ctx, o), JS_EXCEPTION;
  for (int i = 0; i < FIELDS; i++) ev->field[i] = JS_UNINITIALIZED;
  JS_SetOpaque(o, ev);
  return o;
}

/* end_event lets go of the event. One that the function keeps is filled first:
 * afterwards the host would answer for the next event. */
static void end_event(JSValue o) {
  if (((JSRefCountHeader *)JS_VALUE_GET_PTR(o))->ref_count > 1) {
    Event *ev = JS_GetOpaque(o, event_class);
    for (int i = 0; i < FIELDS; i++) {
      if (i == 6 || !JS_IsUninitialized(ev->field[i])) continue;
      ev->field[i] = load_field(i);
      if (!JS_IsException(ev->field[i])) continue;
      ev->field[i] = JS_UNDEFINED;
      JS_FreeValue(ctx, JS_GetException(ctx));
    }
  }
  JS_FreeValue(ctx, o);
}

/* ---- skerry.* ---- */

#define HOST(name) static JSValue name(JSContext *c, JSValueConst this, int argc, JSValueConst *argv)
#define TEXT(var, size, value)                        \
  size_t size;                                        \
  const char *var = JS_ToCStringLen(c, &size, value); \
  if (!var) return JS_EXCEPTION

HOST(js_publish) {
  int flags = 0;
  Bytes b;
  if (argc > 2 && JS_IsObject(argv[2])) {
    JSValue qos = JS_GetPropertyStr(c, argv[2], "qos"), retain = JS_GetPropertyStr(c, argv[2], "retain");
    int q = 0;
    if (!JS_IsUndefined(qos)) JS_ToInt32(c, &q, qos);
    flags = (q < 0 || q > 2 ? 3 : q) | (JS_ToBool(c, retain) > 0 ? SKERRY_RETAIN : 0);
    JS_FreeValue(c, qos), JS_FreeValue(c, retain);
  }
  TEXT(topic, tn, argv[0]);
  JSValue ret = JS_EXCEPTION;
  if (bytes_of(argv[1], &b) == 0) {
    int n = skerry_publish(topic, tn, b.data, b.n, flags);
    ret = answer(n, "publish to", topic, "permissions.publish");
    bytes_free(&b);
  }
  JS_FreeCString(c, topic);
  return ret;
}

HOST(js_emit) {
  Bytes b;
  TEXT(name, nn, argv[0]);
  JSValue ret = JS_EXCEPTION;
  if (bytes_of(argv[1], &b) == 0) {
    ret = answer(skerry_emit(name, nn, b.data, b.n), "emit to local/", name, "permissions.invoke");
    bytes_free(&b);
  }
  JS_FreeCString(c, name);
  return ret;
}

HOST(js_followup) { /* (target, data, content type) */
  Bytes b, type;
  TEXT(name, nn, argv[0]);
  JSValue ret = JS_EXCEPTION;
  if (bytes_of(argv[1], &b) == 0) {
    if (bytes_of(argv[2], &type) == 0) {
      int json = !type.n && !JS_IsString(argv[1]) && !JS_IsUndefined(argv[1]) && !is_typed_array(argv[1]) &&
                 JS_GetClassID(argv[1]) != JS_CLASS_ARRAY_BUFFER;
      if (json) type.data = (const uint8_t *)"application/json", type.n = 16;
      int n = skerry_followup(name, nn, (const char *)type.data, type.n, b.data, b.n);
      ret = answer(n, "follow-up to central/", name, "permissions.invoke");
      bytes_free(&type);
    }
    bytes_free(&b);
  }
  JS_FreeCString(c, name);
  return ret;
}

/* verdict ends the run: it throws, and stays said if somebody catches that. */
static JSValue verdict(JSContext *c, JSValueConst this, int argc, JSValueConst *argv, int magic) {
  if (run.starting) return host_error(SKERRY_EDENIED, magic == SKERRY_REJECT ? "reject" : "retry", "", "");
  Bytes b;
  if (bytes_of(argv[0], &b) < 0) return JS_EXCEPTION;
  if (!run.verdict) {
    run.verdict = magic;
    skerry_error_set((const char *)b.data, b.n < ERROR_SIZE ? b.n : ERROR_SIZE);
  }
  bytes_free(&b);
  return throw_error(magic == SKERRY_REJECT ? "reject" : "retry", magic == SKERRY_REJECT ? "rejected" : "to be retried");
}

HOST(js_config) {
  int n;
  TEXT(key, kn, argv[0]);
  n = skerry_config_get(key, kn, buf, cap);
  if (n > (int)cap && buf_grow(n) == 0) n = skerry_config_get(key, kn, buf, cap);
  JS_FreeCString(c, key);
  return n < 0 || n > (int)cap ? JS_UNDEFINED : JS_NewStringLen(c, (char *)buf, n);
}

HOST(js_secret) {
  int n;
  TEXT(key, kn, argv[0]);
  n = skerry_secret_get(key, kn, buf, cap);
  if (n > (int)cap && buf_grow(n) == 0) n = skerry_secret_get(key, kn, buf, cap);
  JSValue ret = n == SKERRY_ENOTFOUND ? JS_UNDEFINED
                : n < 0               ? host_error(n, "secret", key, "secrets")
                : n > (int)cap        ? JS_EXCEPTION
                                      : JS_NewStringLen(c, (char *)buf, n);
  JS_FreeCString(c, key);
  return ret;
}

/* ---- skerry.state ---- */

/* State holds JSON, but for buffers, which it holds as they are. */
static int bytes_of_state(JSValueConst v, Bytes *b) {
  if (JS_IsUndefined(v)) return JS_ThrowTypeError(ctx, "state cannot hold undefined; use state.delete"), -1;
  if (is_typed_array(v) || JS_GetClassID(v) == JS_CLASS_ARRAY_BUFFER) return bytes_of(v, b);
  JSValue json = json_stringify(ctx, JS_UNDEFINED, 1, &v);
  if (JS_IsException(json)) return -1;
  int err = bytes_of(json, b);
  JS_FreeValue(ctx, json);
  return err;
}

static JSValue js_state_get(JSContext *c, JSValueConst this, int argc, JSValueConst *argv, int raw) {
  TEXT(key, kn, argv[0]);
  int n = skerry_kv_get(key, kn, buf, cap);
  if (n > (int)cap && buf_grow(n) == 0) n = skerry_kv_get(key, kn, buf, cap);
  JSValue ret = JS_EXCEPTION;
  if (n == SKERRY_ENOTFOUND)
    ret = JS_UNDEFINED;
  else if (n < 0)
    ret = host_error(n, "state.get", key, "");
  else if (n <= (int)cap)
    buf[n] = 0, ret = raw ? new_bytes(buf, n) : parse_data(buf, n);
  JS_FreeCString(c, key);
  return ret;
}

HOST(js_state_set) { /* (key, value, seconds to live) */
  uint32_t ttl = 0;
  Bytes b;
  if (argc > 2 && !JS_IsUndefined(argv[2]) && JS_ToUint32(c, &ttl, argv[2])) return JS_EXCEPTION;
  TEXT(key, kn, argv[0]);
  JSValue ret = JS_EXCEPTION;
  if (bytes_of_state(argv[1], &b) == 0) {
    ret = answer(skerry_kv_set(key, kn, b.data, b.n, ttl), "state.set", key, "");
    bytes_free(&b);
  }
  JS_FreeCString(c, key);
  return ret;
}

HOST(js_state_delete) {
  TEXT(key, kn, argv[0]);
  JSValue ret = answer(skerry_kv_delete(key, kn), "state.delete", key, "");
  JS_FreeCString(c, key);
  return ret;
}

HOST(js_state_add) {
  int64_t delta = 1;
  double d;
  if (argc > 1 && !JS_IsUndefined(argv[1])) {
    if (JS_ToFloat64(c, &d, argv[1])) return JS_EXCEPTION;
    if (d != floor(d) || fabs(d) > 9007199254740991.0) return JS_ThrowRangeError(c, "state.add adds whole numbers only");
    delta = (int64_t)d;
  }
  TEXT(key, kn, argv[0]);
  skerry_i64 sum = skerry_kv_add(key, kn, delta);
  JSValue ret = JS_NewInt64(c, sum);
  if (sum == SKERRY_ADD_FAILED) {
    char text[1300];
    refusal_text(text, sizeof text, "state.add", key, "it holds no whole number, or the function is over its limits");
    int n = skerry_kv_get(key, kn, buf, 0); /* has the error number, if it is not the sum */
    ret = n < 0 && n != SKERRY_ENOTFOUND ? host_error(n, "state.add", key, "") : throw_error("invalid", text);
  }
  JS_FreeCString(c, key);
  return ret;
}

HOST(js_state_cas) { /* (key, old or undefined, new) -> done */
  Bytes old = {0}, value;
  int absent = JS_IsUndefined(argv[1]);
  TEXT(key, kn, argv[0]);
  JSValue ret = JS_EXCEPTION;
  if (absent || bytes_of_state(argv[1], &old) == 0) {
    if (bytes_of_state(argv[2], &value) == 0) {
      int n = skerry_kv_cas(key, kn, old.data, absent ? SKERRY_ABSENT : old.n, value.data, value.n);
      ret = n < 0 ? host_error(n, "state.cas", key, "") : JS_NewBool(c, n);
      bytes_free(&value);
    }
    bytes_free(&old);
  }
  JS_FreeCString(c, key);
  return ret;
}

HOST(js_state_list) { /* (prefix, limit) -> keys */
  uint32_t limit = 0;
  int n;
  if (argc > 1 && JS_ToUint32(c, &limit, JS_IsUndefined(argv[1]) ? JS_NewInt32(c, 0) : argv[1])) return JS_EXCEPTION;
  Bytes prefix;
  if (bytes_of(argv[0], &prefix) < 0) return JS_EXCEPTION;
  n = skerry_kv_list((const char *)prefix.data, prefix.n, limit, buf, cap);
  if (n > (int)cap && buf_grow(n) == 0) n = skerry_kv_list((const char *)prefix.data, prefix.n, limit, buf, cap);
  JSValue ret = JS_EXCEPTION;
  if (n < 0)
    ret = host_error(n, "state.list", prefix.text ? prefix.text : "", "");
  else if (n <= (int)cap) {
    uint32_t count = 0;
    ret = JS_NewArray(c);
    for (int at = 0; at + 2 <= n;) {
      int kn = buf[at] | buf[at + 1] << 8;
      JS_DefinePropertyValueUint32(c, ret, count++, JS_NewStringLen(c, (char *)buf + at + 2, kn), JS_PROP_C_W_E);
      at += 2 + kn;
    }
  }
  bytes_free(&prefix);
  return ret;
}

/* ---- what shim.js builds on ---- */

HOST(js_log) { /* (level, text) */
  int level;
  if (JS_ToInt32(c, &level, argv[0])) return JS_EXCEPTION;
  TEXT(text, n, argv[1]);
  skerry_log(level, text, n);
  JS_FreeCString(c, text);
  return JS_UNDEFINED;
}

HOST(js_http) { /* (request) -> the answer, as bytes */
  Bytes b;
  int n;
  if (bytes_of(argv[0], &b) < 0) return JS_EXCEPTION;
  n = skerry_http((const char *)b.data, b.n, buf, cap);
  if (n > (int)cap && buf_grow(n) == 0) n = skerry_http("", 0, buf, cap);
  JSValue ret = JS_EXCEPTION;
  if (n < 0) {
    char line[200];
    size_t at = 0;
    while (at < b.n && at < sizeof line - 1 && b.data[at] != '\n') line[at] = b.data[at], at++;
    line[at] = 0;
    ret = host_error(n, "http", line, "permissions.http");
  } else if (n <= (int)cap) {
    ret = new_bytes(buf, n);
  }
  bytes_free(&b);
  return ret;
}

HOST(js_sleep) {
  double ms;
  if (JS_ToFloat64(c, &ms, argv[0])) return JS_EXCEPTION;
  return answer(skerry_sleep_ms((skerry_len)ceil(ms)), "sleep", "", "");
}

HOST(js_limit) {
  int which;
  if (JS_ToInt32(c, &which, argv[0])) return JS_EXCEPTION;
  return JS_NewInt64(c, limit_get(which));
}

HOST(js_timers) { return run.timers = 1, JS_UNDEFINED; }

HOST(js_utf8) { /* (string) -> Uint8Array */
  TEXT(text, n, argv[0]);
  JSValue ret = new_bytes(text, n);
  JS_FreeCString(c, text);
  return ret;
}

HOST(js_text) { /* (bytes, from, to) -> string */
  Bytes b;
  uint32_t from = 0, to;
  if (bytes_of_buffer(argv[0], &b) < 0) return JS_EXCEPTION;
  to = b.n;
  if (argc > 1 && JS_ToUint32(c, &from, argv[1])) return JS_EXCEPTION;
  if (argc > 2 && JS_ToUint32(c, &to, argv[2])) return JS_EXCEPTION;
  if (to > b.n) to = b.n;
  return from >= to ? JS_NewString(c, "") : JS_NewStringLen(c, (const char *)b.data + from, to - from);
}

HOST(js_random_bytes) { /* (n) -> Uint8Array */
  uint32_t n;
  if (JS_ToUint32(c, &n, argv[0])) return JS_EXCEPTION;
  if (n > 65536) return JS_ThrowRangeError(c, "at most 65536 random bytes at once");
  if (n > cap && buf_grow(n) < 0) return JS_EXCEPTION;
  int err = skerry_random_get(buf, n);
  return err < 0 ? host_error(err, "random", "", "") : new_bytes(buf, n);
}

/* Math.random is seeded by the host, anew with each run that uses it: instances
 * that are restored from one snapshot must not draw the same numbers. */
HOST(js_random) {
  JSFloat64Union u;
  while (!run.random) skerry_random_get(&run.random, sizeof run.random);
  u.u64 = ((uint64_t)0x3ff << 52) | (xorshift64star(&run.random) >> 12);
  return __JS_NewFloat64(c, u.d - 1.0);
}

static const JSCFunctionListEntry state_funcs[] = {
    JS_CFUNC_MAGIC_DEF("get", 1, js_state_get, 0),
    JS_CFUNC_MAGIC_DEF("bytes", 1, js_state_get, 1),
    JS_CFUNC_DEF("set", 2, js_state_set),
    JS_CFUNC_DEF("delete", 1, js_state_delete),
    JS_CFUNC_DEF("add", 1, js_state_add),
    JS_CFUNC_DEF("cas", 3, js_state_cas),
    JS_CFUNC_DEF("list", 1, js_state_list),
};

static const JSCFunctionListEntry skerry_funcs[] = {
    JS_CFUNC_DEF("publish", 2, js_publish),
    JS_CFUNC_DEF("emit", 2, js_emit),
    JS_CFUNC_DEF("followup", 3, js_followup),
    JS_CFUNC_MAGIC_DEF("reject", 1, verdict, SKERRY_REJECT),
    JS_CFUNC_MAGIC_DEF("retry", 1, verdict, SKERRY_RETRY),
    JS_CFUNC_DEF("config", 1, js_config),
    JS_CFUNC_DEF("secret", 1, js_secret),
    JS_OBJECT_DEF("state", state_funcs, countof(state_funcs), JS_PROP_C_W_E),
};

static const JSCFunctionListEntry host_funcs[] = {
    JS_CFUNC_DEF("log", 2, js_log),
    JS_CFUNC_DEF("http", 1, js_http),
    JS_CFUNC_DEF("sleep", 1, js_sleep),
    JS_CFUNC_DEF("limit", 1, js_limit),
    JS_CFUNC_DEF("timers", 0, js_timers),
    JS_CFUNC_DEF("utf8", 1, js_utf8),
    JS_CFUNC_DEF("text", 1, js_text),
    JS_CFUNC_DEF("random", 1, js_random_bytes),
};

/* ---- a run ---- */

/* on_rejection keeps the promises that failed with nobody listening. */
static void on_rejection(JSContext *c, JSValueConst promise, JSValueConst reason, JS_BOOL handled, void *opaque) {
  if (!handled) {
    if (run.rejected == MAX_REJECTED) return;
    run.reject[run.rejected].promise = JS_DupValue(c, promise);
    run.reject[run.rejected++].reason = JS_DupValue(c, reason);
    return;
  }
  for (int i = 0; i < run.rejected; i++) {
    if (JS_VALUE_GET_PTR(run.reject[i].promise) != JS_VALUE_GET_PTR(promise)) continue;
    JS_FreeValue(c, run.reject[i].promise), JS_FreeValue(c, run.reject[i].reason);
    run.reject[i] = run.reject[--run.rejected];
    return;
  }
}

/* settle runs jobs and timers until the promise is settled (or, if v is none,
 * until no job is left) and returns its value. */
static JSValue settle(JSValue v) {
  int promise = JS_GetClassID(v) == JS_CLASS_PROMISE;
  for (;;) {
    JSContext *c;
    int n;
    while ((n = JS_ExecutePendingJob(rt, &c)) > 0) {
    }
    if (n < 0) return JS_FreeValue(ctx, v), JS_EXCEPTION;
    if (!promise || JS_PromiseState(ctx, v) != JS_PROMISE_PENDING) break;
    JSValue more = JS_Call(ctx, shim_tick, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(more)) return JS_FreeValue(ctx, v), more;
    if (JS_ToBool(ctx, more)) continue;
    JS_FreeValue(ctx, v);
    return JS_ThrowTypeError(ctx, "the promise that was returned never settles: nothing is left that could resolve or reject it");
  }
  if (!promise) return v;
  JSValue result = JS_PromiseResult(ctx, v);
  if (JS_PromiseState(ctx, v) == JS_PROMISE_REJECTED) {
    on_rejection(ctx, v, JS_UNDEFINED, 1, NULL); /* it is this run's failure */
    result = JS_Throw(ctx, result);
  }
  JS_FreeValue(ctx, v);
  return result;
}

/* unheard throws the reason of a promise that failed with nobody listening. */
static int unheard(void) {
  if (!run.rejected) return 0;
  JS_Throw(ctx, JS_DupValue(ctx, run.reject[0].reason));
  return -1;
}

static void begin_run(void) {
  for (int i = 0; i < run.rejected; i++) JS_FreeValue(ctx, run.reject[i].promise), JS_FreeValue(ctx, run.reject[i].reason);
  run.verdict = run.timers = run.rejected = 0;
  run.random = 0;
}

/* finish clears what may be left over, and translates the outcome. */
static int finish(int failed) {
  if (run.verdict) {
    if (failed) JS_FreeValue(ctx, JS_GetException(ctx));
    failed = 0;
  } else if (failed) {
    report();
  }
  if (run.timers) {
    JSValue v = JS_Call(ctx, shim_clear, JS_UNDEFINED, 0, NULL);
    if (JS_IsException(v)) v = JS_GetException(ctx);
    JS_FreeValue(ctx, v);
  }
  return failed ? FAILED : run.verdict;
}

static int keep_result(JSValueConst v) {
  Bytes b;
  if (JS_IsUndefined(v)) return 0;
  if (bytes_of(v, &b) < 0) return -1;
  int n = skerry_result_set(b.data, b.n);
  bytes_free(&b);
  if (n < 0) host_error(n, "result", "", "");
  return n;
}

SKERRY_HANDLE {
  begin_run();
  JSValue event = new_event();
  if (JS_IsException(event)) return finish(1);
  JSValue v = JS_Call(ctx, entry, JS_UNDEFINED, 2, (JSValueConst[]){event, skerry});
  if (!JS_IsException(v)) v = settle(v);
  int failed = JS_IsException(v) || unheard() < 0 || (!run.verdict && keep_result(v) < 0);
  JS_FreeValue(ctx, v);
  int outcome = finish(failed);
  end_event(event);
  return outcome;
}

/* ---- loading ---- */

/* A module that a function imports: what shim.js answers to require(name). */
static int init_module(JSContext *c, JSModuleDef *m) {
  JSValue name = JS_AtomToString(c, m->module_name);
  JSValue v = JS_Call(c, shim_require, JS_UNDEFINED, 1, (JSValueConst[]){name});
  JS_FreeValue(c, name);
  if (JS_IsException(v)) return -1;
  for (int i = 0; i < m->export_entries_count; i++) {
    JSAtom a = m->export_entries[i].export_name;
    const char *export = JS_AtomToCString(c, a);
    JSValue x = a == JS_ATOM_default ? JS_DupValue(c, v) : JS_GetProperty(c, v, a);
    JS_SetModuleExport(c, m, export, x);
    JS_FreeCString(c, export);
  }
  JS_FreeValue(c, v);
  return 0;
}

static JSModuleDef *load_module(JSContext *c, const char *name, void *opaque) {
  JSValue n = JS_NewString(c, name);
  JSValue v = JS_Call(c, shim_require, JS_UNDEFINED, 1, (JSValueConst[]){n});
  JS_FreeValue(c, n);
  if (JS_IsException(v)) return NULL;
  JSModuleDef *m = JS_NewCModule(c, name, init_module);
  JSPropertyEnum *names;
  uint32_t count;
  if (m && JS_AddModuleExport(c, m, "default") == 0 &&
      JS_GetOwnPropertyNames(c, &names, &count, v, JS_GPN_STRING_MASK) == 0) {
    for (uint32_t i = 0; i < count; i++) {
      const char *export = JS_AtomToCString(c, names[i].atom);
      if (names[i].atom != JS_ATOM_default) JS_AddModuleExport(c, m, export);
      JS_FreeCString(c, export);
    }
    js_free_prop_enum(c, names, count);
  }
  JS_FreeValue(c, v);
  return m;
}

static char *keep_name(JSContext *c, const char *base, const char *name, void *opaque) { return js_strdup(c, name); }

/* has_module_syntax tells which of two syntax errors to show: that of a file
 * with a line that starts with import or export is the module's. */
static int has_module_syntax(const char *s) {
  for (;;) {
    while (*s == ' ' || *s == '\t') s++;
    if (!strncmp(s, "export", 6) || (!strncmp(s, "import", 6) && s[6] != '(')) return 1;
    if (!(s = strchr(s, '\n'))) return 0;
    s++;
  }
}

#define FILE_NAME "function.js"
#define HEAD "(function(exports,require,module,__filename,__dirname){"
#define TAIL "\n;return typeof main==='function'?main:undefined})"

/* read_source returns HEAD, the source and TAIL, or NULL. */
static char *read_source(size_t *n) {
  int len = source_get(buf, 0);
  char *text = len < 0 ? NULL : js_malloc(ctx, sizeof HEAD + sizeof TAIL + len);
  if (len < 0) return JS_ThrowTypeError(ctx, "the host has no source for this function"), NULL;
  if (!text) return NULL;
  char *src = text + sizeof HEAD - 1;
  memcpy(text, HEAD, sizeof HEAD - 1);
  len = source_get(src, len);
  src[len] = 0;
  *n = len;
  if (len >= 3 && !memcmp(src, "\xef\xbb\xbf", 3)) memset(src, ' ', 3);
  if (!memcmp(src, "#!", 2)) memcpy(src, "//", 2);
  memcpy(src + len, TAIL, sizeof TAIL);
  return text;
}

/* load_commonjs runs the source as CommonJS and returns the entry. */
static JSValue load_commonjs(JSValue wrapper) {
  JSValue args[5], module = JS_NewObject(ctx);
  args[0] = JS_NewObject(ctx), args[1] = shim_require, args[2] = module;
  args[3] = JS_NewString(ctx, "/" FILE_NAME), args[4] = JS_NewString(ctx, "/");
  JS_SetPropertyStr(ctx, module, "exports", JS_DupValue(ctx, args[0]));
  JSValue main = settle(JS_Call(ctx, wrapper, args[0], 5, args));
  if (JS_IsException(main)) return main;
  JSValue exports = JS_GetPropertyStr(ctx, module, "exports");
  JSValue chosen = JS_Call(ctx, shim_choose, JS_UNDEFINED, 3, (JSValueConst[]){exports, main, JS_FALSE});
  JS_FreeValue(ctx, exports), JS_FreeValue(ctx, main), JS_FreeValue(ctx, module);
  JS_FreeValue(ctx, args[0]), JS_FreeValue(ctx, args[3]), JS_FreeValue(ctx, args[4]);
  return chosen;
}

static JSValue load_es_module(JSValue compiled) {
  JSModuleDef *m = JS_VALUE_GET_PTR(compiled);
  JSValue v = settle(JS_EvalFunction(ctx, compiled));
  if (JS_IsException(v)) return v;
  JS_FreeValue(ctx, v);
  JSValue ns = JS_GetModuleNamespace(ctx, m);
  if (JS_IsException(ns)) return ns;
  JSValue chosen = JS_Call(ctx, shim_choose, JS_UNDEFINED, 3, (JSValueConst[]){ns, JS_UNDEFINED, JS_TRUE});
  JS_FreeValue(ctx, ns);
  return chosen;
}

/* unparsed throws e, of a source that is no JavaScript, with what its author
 * may want to know. */
static JSValue unparsed(JSValue e, const char *src, size_t n) {
  JSValue text = JS_NewStringLen(ctx, src, n);
  JSValue v = JS_Call(ctx, shim_unparsed, JS_UNDEFINED, 2, (JSValueConst[]){e, text});
  JS_FreeValue(ctx, text), JS_FreeValue(ctx, e);
  return JS_IsException(v) ? v : JS_Throw(ctx, v);
}

/* load_source takes the source for CommonJS and, if it is none by its syntax,
 * for an ES module. */
static JSValue load_source(void) {
  size_t n;
  char *text = read_source(&n);
  if (!text) return JS_EXCEPTION;
  JSValue chosen, v = JS_Eval(ctx, text, sizeof HEAD - 1 + n + sizeof TAIL - 1, FILE_NAME, JS_EVAL_TYPE_GLOBAL);
  if (!JS_IsException(v)) {
    chosen = load_commonjs(v);
    JS_FreeValue(ctx, v);
  } else {
    JSValue first = JS_GetException(ctx);
    char *src = text + sizeof HEAD - 1;
    src[n] = 0;
    v = JS_Eval(ctx, src, n, FILE_NAME, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (!JS_IsException(v)) {
      JS_FreeValue(ctx, first);
      chosen = load_es_module(v);
    } else {
      JSValue second = JS_GetException(ctx);
      int module = has_module_syntax(src);
      JS_FreeValue(ctx, module ? first : second);
      chosen = unparsed(module ? second : first, src, n);
    }
  }
  js_free(ctx, text);
  return chosen;
}

/* ---- starting ---- */

static void *js_alloc(JSMallocState *s, size_t n) {
  void *p = malloc(n);
  if (p) s->malloc_count++, s->malloc_size += malloc_usable_size(p) + MALLOC_OVERHEAD;
  return p;
}

static void js_release(JSMallocState *s, void *p) {
  if (!p) return;
  s->malloc_count--, s->malloc_size -= malloc_usable_size(p) + MALLOC_OVERHEAD;
  free(p);
}

static void *js_resize(JSMallocState *s, void *p, size_t n) {
  if (!p) return n ? js_alloc(s, n) : NULL;
  if (!n) return js_release(s, p), NULL;
  size_t old = malloc_usable_size(p);
  p = realloc(p, n);
  if (p) s->malloc_size += malloc_usable_size(p) - old;
  return p;
}

static size_t js_usable(const void *p) { return malloc_usable_size((void *)p); }

static const JSMallocFunctions allocator = {js_alloc, js_release, js_resize, js_usable};

static JSValue take_property(JSValueConst o, const char *name) { return JS_GetPropertyStr(ctx, o, name); }

/* start_shim runs shim.js, which fills the global object and skerry. */
static int start_shim(void) {
  JSValue global = JS_GetGlobalObject(ctx), host = JS_NewObject(ctx);
  JSValue math = take_property(global, "Math"), json = take_property(global, "JSON");
  skerry = JS_NewObject(ctx);
  JS_SetPropertyFunctionList(ctx, skerry, skerry_funcs, countof(skerry_funcs));
  JS_SetPropertyFunctionList(ctx, host, host_funcs, countof(host_funcs));
  JS_SetPropertyStr(ctx, math, "random", JS_NewCFunction(ctx, js_random, "random", 0));
  JS_SetPropertyStr(ctx, json, "parse", JS_NewCFunction(ctx, json_parse, "parse", 2));
  JS_SetPropertyStr(ctx, json, "stringify", JS_NewCFunction(ctx, json_stringify, "stringify", 3));
  JS_SetStripInfo(rt, JS_STRIP_DEBUG); /* what has none is not shown in stacks */
  JSValue make = JS_Eval(ctx, shim_js, sizeof shim_js - 1, "skerry.js", JS_EVAL_TYPE_GLOBAL);
  JS_SetStripInfo(rt, 0);
  JSValue shim = JS_IsException(make) ? make : JS_Call(ctx, make, JS_UNDEFINED, 3, (JSValueConst[]){host, skerry, global});
  JS_FreeValue(ctx, make), JS_FreeValue(ctx, host), JS_FreeValue(ctx, math), JS_FreeValue(ctx, json), JS_FreeValue(ctx, global);
  if (JS_IsException(shim)) return -1;
  shim_choose = take_property(shim, "choose"), shim_require = take_property(shim, "require");
  shim_tick = take_property(shim, "tick"), shim_clear = take_property(shim, "clear");
  shim_unparsed = take_property(shim, "unparsed");
  JS_FreeValue(ctx, shim);
  return 0;
}

/* new_context is JS_NewContext without what has no use here. */
static JSContext *new_context(void) {
  JSContext *c = JS_NewContextRaw(rt);
  if (!c) return NULL;
  JS_AddIntrinsicBaseObjects(c);
  JS_AddIntrinsicDate(c);
  JS_AddIntrinsicEval(c);
  JS_AddIntrinsicRegExp(c);
  JS_AddIntrinsicStringNormalize(c);
  JS_AddIntrinsicJSON(c);
  JS_AddIntrinsicProxy(c);
  JS_AddIntrinsicMapSet(c);
  JS_AddIntrinsicTypedArrays(c);
  JS_AddIntrinsicPromise(c);
  JS_AddIntrinsicWeakRef(c);
  return c;
}

static int start(void) {
  rt = JS_NewRuntime2(&allocator, NULL);
  if (!rt || !(ctx = new_context()) || buf_grow(4096) < 0) return -1;
  JS_SetMaxStackSize(rt, STACK_SIZE);
  JS_SetHostPromiseRejectionTracker(rt, on_rejection, NULL);
  JS_SetModuleLoaderFunc(rt, keep_name, load_module, NULL);
  JS_NewClassID(&event_class);
  JS_NewClass(rt, event_class, &event_class_def);
  JSValue proto = JS_NewObject(ctx);
  JS_SetPropertyFunctionList(ctx, proto, event_proto, countof(event_proto));
  JS_SetClassProto(ctx, event_class, proto);
  return start_shim();
}

extern void __wasm_call_ctors(void);

__attribute__((export_name("_initialize"))) void initialize(void) {
  __wasm_call_ctors();
  run.starting = 1;
  if (start() < 0) __builtin_trap();
}

SKERRY_INIT {
  begin_run();
  entry = load_source();
  ctx->eval_internal = NULL; /* from now on eval and new Function throw */
  int failed = JS_IsException(entry) || unheard() < 0;
  if (finish(failed) || failed) return 1;
  JS_RunGC(rt);
  run.starting = 0;
  return 0;
}

/* ---- the system, as far as wasi-libc wants one ---- */

#define WASI(name) __imported_wasi_snapshot_preview1_##name
enum { NOT_SUPPORTED = 58 };

int WASI(clock_time_get)(int id, int64_t precision, int at) {
  *(int64_t *)at = skerry_now_ms() * 1000000;
  return 0;
}

int WASI(fd_write)(int fd, int vectors, int n, int written) { return NOT_SUPPORTED; }
int WASI(fd_seek)(int fd, int64_t offset, int whence, int at) { return NOT_SUPPORTED; }
int WASI(fd_close)(int fd) { return NOT_SUPPORTED; }
