// skerry.ts - write a Skerry function in AssemblyScript.
//
//   asc my.ts -o my.wasm -O2 --runtime minimal --use abort=
//
//   import * as skerry from "…/wasm/guest/assemblyscript/skerry";
//   export function skerry_handle(): i32 { …; return skerry.COMMIT; }
//
// The ABI is described in wasm/ABI.md. Numbers below 0 that functions return
// are the E… constants.

@external("skerry_v1", "event_get") declare function event_get(field: u32, buf: usize, cap: u32): i32;
@external("skerry_v1", "result_set") declare function result_set(ptr: usize, len: u32): i32;
@external("skerry_v1", "error_set") declare function error_set(ptr: usize, len: u32): i32;
@external("skerry_v1", "log") declare function log_line(level: u32, ptr: usize, len: u32): i32;
@external("skerry_v1", "config_get") declare function config_get(key: usize, keyLen: u32, buf: usize, cap: u32): i32;
@external("skerry_v1", "secret_get") declare function secret_get(name: usize, nameLen: u32, buf: usize, cap: u32): i32;
@external("skerry_v1", "publish") declare function publish_to(topic: usize, topicLen: u32, ptr: usize, len: u32, flags: u32): i32;
@external("skerry_v1", "emit") declare function emit_to(fn: usize, fnLen: u32, ptr: usize, len: u32): i32;
@external("skerry_v1", "followup") declare function followup_to(target: usize, targetLen: u32, type: usize, typeLen: u32, ptr: usize, len: u32): i32;
@external("skerry_v1", "now_ms") declare function now_ms(): i64;
@external("skerry_v1", "kv_get") declare function kv_get(key: usize, keyLen: u32, buf: usize, cap: u32): i32;
@external("skerry_v1", "kv_set") declare function kv_set(key: usize, keyLen: u32, ptr: usize, len: u32, ttl: u32): i32;
@external("skerry_v1", "kv_delete") declare function kv_delete(key: usize, keyLen: u32): i32;
@external("skerry_v1", "kv_add") declare function kv_add(key: usize, keyLen: u32, delta: i64): i64;
@external("skerry_v1", "kv_cas") declare function kv_cas(key: usize, keyLen: u32, old: usize, oldLen: u32, ptr: usize, len: u32): i32;
@external("skerry_v1", "kv_list") declare function kv_list(prefix: usize, prefixLen: u32, limit: u32, buf: usize, cap: u32): i32;

// Results of skerry_handle.
export const COMMIT: i32 = 0;
export const REJECT: i32 = 1;
export const RETRY: i32 = 2;
export const FAILED: i32 = 3;

export const EINVALID: i32 = -1;
export const ENOTFOUND: i32 = -2;
export const EDENIED: i32 = -3;
export const ELIMIT: i32 = -4;
export const EIO: i32 = -6;

// Flags of publish.
export const QOS0: u32 = 0;
export const QOS1: u32 = 1;
export const QOS2: u32 = 2;
export const RETAIN: u32 = 4;

// Levels of log.
export const DEBUG: u32 = 0;
export const INFO: u32 = 1;
export const WARN: u32 = 2;
export const ERROR: u32 = 3;

// Fields of an event.
export const DATA: u32 = 0;
export const SUBJECT: u32 = 1;
export const CONTENT_TYPE: u32 = 2;
export const TRIGGER: u32 = 3;
export const ID: u32 = 4;
export const TIME_MS: u32 = 5;
export const SOURCE: u32 = 7;
export const TYPE: u32 = 8;
export const ATTEMPT: u32 = 9;
export const FUNCTION: u32 = 10;

/** ADD_FAILED is what add returns if it could not add; the host said why. */
export const ADD_FAILED: i64 = i64.MIN_VALUE;

function pointer(b: ArrayBuffer): usize { return changetype<usize>(b); }
function bytes(s: string): ArrayBuffer { return String.UTF8.encode(s); }

/** text is UTF-8 bytes as a string. */
export function text(b: ArrayBuffer): string { return String.UTF8.decode(b); }

/** event reads a field of the event; an empty buffer if it has none. */
export function event(field: u32): ArrayBuffer {
  const n = event_get(field, 0, 0);
  const buf = new ArrayBuffer(max(n, 0));
  if (n > 0) event_get(field, pointer(buf), n);
  return buf;
}

/** config is a value of the function's env, or fallback. */
export function config(key: string, fallback: string): string {
  const k = bytes(key);
  const n = config_get(pointer(k), k.byteLength, 0, 0);
  if (n < 0) return fallback;
  const buf = new ArrayBuffer(n);
  config_get(pointer(k), k.byteLength, pointer(buf), n);
  return text(buf);
}

/** secret is the value of a granted secret, or null. */
export function secret(name: string): string | null {
  const k = bytes(name);
  const n = secret_get(pointer(k), k.byteLength, 0, 0);
  if (n < 0) return null;
  const buf = new ArrayBuffer(n);
  secret_get(pointer(k), k.byteLength, pointer(buf), n);
  return text(buf);
}

/** fail says why the run fails and returns what skerry_handle is to return. */
export function fail(result: i32, reason: string): i32 {
  const b = bytes(reason);
  error_set(pointer(b), b.byteLength);
  return result;
}

export function log(level: u32, line: string): void {
  const b = bytes(line);
  log_line(level, pointer(b), b.byteLength);
}

export function result(data: string): i32 {
  const b = bytes(data);
  return result_set(pointer(b), b.byteLength);
}

export function publish(topic: string, data: string, flags: u32): i32 {
  const t = bytes(topic), b = bytes(data);
  return publish_to(pointer(t), t.byteLength, pointer(b), b.byteLength, flags);
}

export function emit(fn: string, data: string): i32 {
  const f = bytes(fn), b = bytes(data);
  return emit_to(pointer(f), f.byteLength, pointer(b), b.byteLength);
}

export function followup(target: string, contentType: string, data: string): i32 {
  const t = bytes(target), y = bytes(contentType), b = bytes(data);
  return followup_to(pointer(t), t.byteLength, pointer(y), y.byteLength, pointer(b), b.byteLength);
}

/** now is milliseconds since 1970. */
export function now(): i64 { return now_ms(); }

/** get reads the function's state, or null. */
export function get(key: string): ArrayBuffer | null {
  const k = bytes(key);
  const n = kv_get(pointer(k), k.byteLength, 0, 0);
  if (n < 0) return null;
  const buf = new ArrayBuffer(n);
  kv_get(pointer(k), k.byteLength, pointer(buf), n);
  return buf;
}

/** set writes the function's state; a ttl of 0 seconds keeps it for ever. */
export function set(key: string, value: ArrayBuffer, ttl: u32 = 0): i32 {
  const k = bytes(key);
  return kv_set(pointer(k), k.byteLength, pointer(value), value.byteLength, ttl);
}

export function remove(key: string): i32 {
  const k = bytes(key);
  return kv_delete(pointer(k), k.byteLength);
}

/** add adds to a decimal integer in the state and returns the sum, or ADD_FAILED. */
export function add(key: string, delta: i64): i64 {
  const k = bytes(key);
  return kv_add(pointer(k), k.byteLength, delta);
}

/** compareAndSet writes value if key holds old (null: is absent): 1 if it did, 0 if not. */
export function compareAndSet(key: string, old: ArrayBuffer | null, value: ArrayBuffer): i32 {
  const k = bytes(key);
  const o: usize = old === null ? 0 : pointer(old);
  const on: u32 = old === null ? u32.MAX_VALUE : old.byteLength;
  return kv_cas(pointer(k), k.byteLength, o, on, pointer(value), value.byteLength);
}

/** keys lists at most limit keys that start with prefix, sorted; 0 means 1000. */
export function keys(prefix: string, limit: u32): string[] {
  const p = bytes(prefix), found: string[] = [];
  const n = kv_list(pointer(p), p.byteLength, limit, 0, 0);
  if (n <= 0) return found;
  const buf = new ArrayBuffer(n);
  kv_list(pointer(p), p.byteLength, limit, pointer(buf), n);
  for (let at: usize = 0; at < <usize>n; ) {
    const len = <usize>load<u16>(pointer(buf) + at);
    found.push(String.UTF8.decodeUnsafe(pointer(buf) + at + 2, len));
    at += 2 + len;
  }
  return found;
}

/** field finds a member of the outermost JSON object, strings without quotes
 * and still escaped; null if there is none. It trusts the text to be JSON. */
export function field(json: string, name: string): string | null {
  let depth = 0, key = false;
  for (let i = 0; i < json.length; i++) {
    const c = json.charCodeAt(i);
    if (c == 0x22) { // "
      const end = stringEnd(json, i);
      if (end < 0) return null;
      if (key && depth == 1 && json.substring(i + 1, end) == name) return value(json, end + 1);
      key = false;
      i = end;
    } else if (c == 0x7b || c == 0x5b) { // { [
      depth++;
      key = c == 0x7b;
    } else if (c == 0x7d || c == 0x5d) { // } ]
      depth--;
    } else if (c == 0x2c) { // ,
      key = depth == 1;
    }
  }
  return null;
}

/** number is field for a number; NaN if there is none. */
export function number(json: string, name: string): f64 {
  const v = field(json, name);
  return v === null ? NaN : parseFloat(v);
}

function stringEnd(s: string, i: i32): i32 {
  for (i++; i < s.length; i++) {
    const c = s.charCodeAt(i);
    if (c == 0x5c) i++; // backslash
    else if (c == 0x22) return i;
  }
  return -1;
}

function value(s: string, i: i32): string | null {
  while (i < s.length && (s.charCodeAt(i) <= 0x20 || s.charCodeAt(i) == 0x3a)) i++; // up to the value
  if (i >= s.length) return null;
  if (s.charCodeAt(i) == 0x22) {
    const end = stringEnd(s, i);
    return end < 0 ? null : s.substring(i + 1, end);
  }
  let depth = 0;
  for (let j = i; j < s.length; j++) {
    const c = s.charCodeAt(j);
    if (c == 0x22) {
      const end = stringEnd(s, j);
      if (end < 0) return null;
      j = end;
    } else if (c == 0x7b || c == 0x5b) depth++;
    else if ((c == 0x2c || c == 0x7d || c == 0x5d) && depth == 0) return s.substring(i, j).trim();
    else if (c == 0x7d || c == 0x5d) depth--;
  }
  return s.substring(i).trim();
}
