// skerry.ts - write a Skerry function in AssemblyScript.
//
//   asc my.ts -o my.wasm -O3 --runtime minimal --use abort=skerry/abort
//
//   import * as skerry from "./skerry";
//
//   function handle(): i32 { …; return skerry.COMMIT; }
//   export function skerry_handle(): i32 { return skerry.run(handle); }
//
// The ABI is described in wasm/ABI.md. Numbers below 0 that functions return
// are the E… constants. What is sent may be a string, which goes as UTF-8, an
// ArrayBuffer or a Uint8Array.

import { Json } from "./json";
export { Json } from "./json";

@external("skerry_v1", "event_get") declare function event_get(field: u32, buf: usize, cap: usize): i32;
@external("skerry_v1", "result_set") declare function result_set(ptr: usize, len: usize): i32;
@external("skerry_v1", "error_set") declare function error_set(ptr: usize, len: usize): i32;
@external("skerry_v1", "error_get") declare function error_get(buf: usize, cap: usize): i32;
@external("skerry_v1", "log") declare function log_line(level: u32, ptr: usize, len: usize): i32;
@external("skerry_v1", "config_get") declare function config_get(key: usize, keyLen: usize, buf: usize, cap: usize): i32;
@external("skerry_v1", "secret_get") declare function secret_get(name: usize, nameLen: usize, buf: usize, cap: usize): i32;
@external("skerry_v1", "publish") declare function publish_to(topic: usize, topicLen: usize, ptr: usize, len: usize, flags: u32): i32;
@external("skerry_v1", "emit") declare function emit_to(fn: usize, fnLen: usize, ptr: usize, len: usize): i32;
@external("skerry_v1", "followup") declare function followup_to(target: usize, targetLen: usize, type: usize, typeLen: usize, ptr: usize, len: usize): i32;
@external("skerry_v1", "now_ms") declare function now_ms(): i64;
@external("skerry_v1", "kv_get") declare function kv_get(key: usize, keyLen: usize, buf: usize, cap: usize): i32;
@external("skerry_v1", "kv_set") declare function kv_set(key: usize, keyLen: usize, ptr: usize, len: usize, ttl: u32): i32;
@external("skerry_v1", "kv_delete") declare function kv_delete(key: usize, keyLen: usize): i32;
@external("skerry_v1", "kv_add") declare function kv_add(key: usize, keyLen: usize, delta: i64): i64;
@external("skerry_v1", "kv_cas") declare function kv_cas(key: usize, keyLen: usize, old: usize, oldLen: usize, ptr: usize, len: usize): i32;
@external("skerry_v1", "kv_list") declare function kv_list(prefix: usize, prefixLen: usize, limit: u32, buf: usize, cap: usize): i32;
@external("skerry_v1", "random_get") declare function random_get(ptr: usize, len: usize): i32;
@external("skerry_v1", "sleep_ms") declare function sleep_ms(ms: u32): i32;
@external("skerry_v1", "http") declare function http_do(req: usize, reqLen: usize, buf: usize, cap: usize): i32;

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

/** ADD_FAILED is what add returns if it could not add; the host said why. */
export const ADD_FAILED: i64 = i64.MIN_VALUE;

// What goes to the host is written here, one argument behind the other. It is
// no garbage: allocated once, and used again by the next call.
let outAt: usize = heap.alloc(1024);
let outCap: usize = 1024;
let outLen: usize = 0;

function room(n: usize): void {
  outLen = 0;
  if (n <= outCap) return;
  heap.free(outAt);
  outAt = heap.alloc(n);
  outCap = n;
}

// most is how many bytes of room an argument needs; those that are bytes
// already are passed where they lie.
function most<T>(data: T): usize {
  if (isString<T>()) return 3 * data.length;
  return 0;
}

function pointer<T>(data: T): usize {
  if (isString<T>()) return outAt + outLen;
  if (data instanceof Uint8Array) return data.dataStart;
  return changetype<usize>(data);
}

// length is called after pointer: it writes what a string needs.
function length<T>(data: T): usize {
  if (isString<T>()) {
    const n = String.UTF8.encodeUnsafe(changetype<usize>(data), data.length, outAt + outLen, false, String.UTF8.ErrorMode.REPLACE);
    outLen += n;
    return n;
  }
  return data.byteLength;
}

// What the host gives is read here, until it is copied.
let inAt: usize = heap.alloc(1024);
let inCap: usize = 1024;

/** fits is whether n bytes, or an error, are there; if not, there is room for them now. */
function fits(n: i32): bool {
  if (n < 0 || <usize>n <= inCap) return true;
  heap.free(inAt);
  inAt = heap.alloc(n);
  inCap = n;
  return false;
}

function copied(n: i32): ArrayBuffer | null {
  if (n < 0) return null;
  const buf = new ArrayBuffer(n);
  memory.copy(changetype<usize>(buf), inAt, n);
  return buf;
}

function copiedText(n: i32): string | null {
  return n < 0 ? null : String.UTF8.decodeUnsafe(inAt, n);
}

// The payload of the event stays where it was read until the handler returns.
let dataAt: usize = heap.alloc(4096);
let dataCap: i32 = 4096;
let dataLen: i32 = -1;

function readData(): void {
  if (dataLen >= 0) return;
  dataLen = event_get(0, dataAt, dataCap);
  if (dataLen <= dataCap) return;
  heap.free(dataAt);
  dataAt = heap.alloc(dataLen);
  dataCap = dataLen;
  event_get(0, dataAt, dataCap);
}

/** data is a copy of the event's payload. */
export function data(): ArrayBuffer {
  readData();
  const buf = new ArrayBuffer(dataLen);
  memory.copy(changetype<usize>(buf), dataAt, dataLen);
  return buf;
}

/** text is the event's payload as a string. */
export function text(): string {
  readData();
  return String.UTF8.decodeUnsafe(dataAt, dataLen);
}

/** json is the event's payload as JSON, valid until the handler returns. */
export function json(): Json {
  readData();
  return new Json(dataAt, dataAt + dataLen);
}

function field(which: u32): string {
  let n = event_get(which, inAt, inCap);
  if (!fits(n)) n = event_get(which, inAt, inCap);
  const s = copiedText(n);
  return s === null ? "" : s;
}

/** subject is the MQTT topic, the schedule's trigger, or the emitting function. */
export function subject(): string { return field(1); }
export function contentType(): string { return field(2); }
/** trigger is "app/trigger". */
export function trigger(): string { return field(3); }
/** id is the same when the event is run again. */
export function id(): string { return field(4); }
/** time is when the source saw the event, milliseconds since 1970. */
export function time(): i64 { return I64.parseInt(field(5)); }
export function source(): string { return field(7); }
export function eventType(): string { return field(8); }
/** attempt is 1 for the first run of the event. */
export function attempt(): i32 { return I32.parseInt(field(9)); }
/** functionName is "app/function". */
export function functionName(): string { return field(10); }

/** config is a value of the function's env, or fallback. */
export function config(key: string, fallback: string): string {
  room(most(key));
  const p = pointer(key), l = length(key);
  let n = config_get(p, l, inAt, inCap);
  if (!fits(n)) n = config_get(p, l, inAt, inCap);
  const s = copiedText(n);
  return s === null ? fallback : s;
}

/** error is the number that the last of secret, get, keys, random and http was
 * refused with, 0 if it was not. */
export let error: i32 = 0;

/** secret is the value of a granted secret, or null. */
export function secret(name: string): string | null {
  room(most(name));
  const p = pointer(name), l = length(name);
  let n = secret_get(p, l, inAt, inCap);
  if (!fits(n)) n = secret_get(p, l, inAt, inCap);
  error = min(n, 0);
  return copiedText(n);
}

/** fail says why the run fails and returns what the handler is to return. */
export function fail(result: i32, reason: string): i32 {
  room(most(reason));
  error_set(pointer(reason), length(reason));
  return result;
}

/** reason is why the host refused a call of this run, the last one; "" if it
 * refused none. A run that fails and says nothing itself ends with these words. */
export function reason(): string {
  let n = error_get(inAt, inCap);
  if (!fits(n)) n = error_get(inAt, inCap);
  const s = copiedText(n);
  return s === null ? "" : s;
}

/** abort is what `throw` and failed checks call, by the flag --use: the run ends
 * as a trap whose error text is the message, the file and the line. It needs no
 * memory that could be missing, and nothing of this file that may not be set yet. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  const at = memory.data(1024);
  let n = put(at, 0, message);
  n = put(at, put(at, n, " ("), file);
  n = put(at, n, ":");
  let unit: u32 = 1;
  while (line / unit >= 10) unit *= 10;
  for (; unit > 0; unit /= 10) store<u8>(at + n++, <u8>(0x30 + (line / unit) % 10));
  error_set(at, put(at, n, ")"));
  unreachable();
}

function put(at: usize, n: usize, text: string | null): usize {
  if (text === null) return n;
  return n + String.UTF8.encodeUnsafe(changetype<usize>(text), min(text.length, 160), at + n, false, String.UTF8.ErrorMode.REPLACE);
}

export function log(level: u32, line: string): void {
  room(most(line));
  log_line(level, pointer(line), length(line));
}

/** result sets the function's result, which the trigger's "then" may send on. */
export function result<T>(data: T): i32 {
  room(most(data));
  return result_set(pointer(data), length(data));
}

export function publish<T>(topic: string, data: T, flags: u32): i32 {
  room(most(topic) + most(data));
  return publish_to(pointer(topic), length(topic), pointer(data), length(data), flags);
}

/** emit gives another function of the same app an event. */
export function emit<T>(fn: string, data: T): i32 {
  room(most(fn) + most(data));
  return emit_to(pointer(fn), length(fn), pointer(data), length(data));
}

/** followup asks the central FaaS behind target to do something. */
export function followup<T>(target: string, contentType: string, data: T): i32 {
  room(most(target) + most(contentType) + most(data));
  return followup_to(pointer(target), length(target), pointer(contentType), length(contentType), pointer(data), length(data));
}

/** now is milliseconds since 1970. */
export function now(): i64 { return now_ms(); }

/** random is n true random bytes, at most 64 KiB, or null. */
export function random(n: i32): ArrayBuffer | null {
  const buf = new ArrayBuffer(n);
  error = random_get(changetype<usize>(buf), n);
  return error < 0 ? null : buf;
}

/** sleep pauses the run, no longer than its deadline. */
export function sleep(ms: u32): i32 { return sleep_ms(ms); }

/** get reads the function's state, or null. */
export function get(key: string): ArrayBuffer | null {
  room(most(key));
  const p = pointer(key), l = length(key);
  let n = kv_get(p, l, inAt, inCap);
  if (!fits(n)) n = kv_get(p, l, inAt, inCap);
  error = min(n, 0);
  return copied(n);
}

/** set writes the function's state; a ttl of 0 seconds keeps it for ever. Keys
 * are UTF-8 of up to 256 bytes and do not start with "/". */
export function set<T>(key: string, value: T, ttl: u32 = 0): i32 {
  room(most(key) + most(value));
  return kv_set(pointer(key), length(key), pointer(value), length(value), ttl);
}

export function remove(key: string): i32 {
  room(most(key));
  return kv_delete(pointer(key), length(key));
}

/** add adds to a decimal integer in the state and returns the sum, or ADD_FAILED. */
export function add(key: string, delta: i64): i64 {
  room(most(key));
  return kv_add(pointer(key), length(key), delta);
}

/** compareAndSet writes value if key holds old (null: is absent): 1 if it did, 0 if not. */
export function compareAndSet<T>(key: string, old: ArrayBuffer | null, value: T): i32 {
  room(most(key) + most(value));
  const k = pointer(key), n = length(key);
  if (old === null) return kv_cas(k, n, 0, u32.MAX_VALUE, pointer(value), length(value));
  return kv_cas(k, n, changetype<usize>(old), old.byteLength, pointer(value), length(value));
}

/** keys lists at most limit keys that start with prefix, sorted; 0 means 1000. */
export function keys(prefix: string, limit: u32): string[] {
  room(most(prefix));
  const p = pointer(prefix), l = length(prefix), found: string[] = [];
  let n = kv_list(p, l, limit, inAt, inCap);
  if (!fits(n)) n = kv_list(p, l, limit, inAt, inCap);
  error = min(n, 0);
  for (let at = inAt, end = inAt + max(n, 0); at < end; ) {
    const len = <usize>load<u16>(at);
    found.push(String.UTF8.decodeUnsafe(at + 2, len));
    at += 2 + len;
  }
  return found;
}

/** Response is the answer to an HTTP request. */
export class Response {
  constructor(public status: i32, private head: string[], public body: ArrayBuffer) {}

  /** header is the first header line with a name, in any case; "" if there is none. */
  header(name: string): string {
    const start = name.toLowerCase() + ":";
    for (let i = 1; i < this.head.length; i++) {
      const line = this.head[i];
      if (line.toLowerCase().startsWith(start)) return line.substring(start.length).trim();
    }
    return "";
  }
}

/**
 * http makes a request, given as "POST https://host/path\nName: value\n\nbody".
 * Every answer is one, whatever its status; null if there was none. It stands
 * outside of the transaction: it happens at once, and again if the event is run
 * again.
 */
export function http<T>(request: T): Response | null {
  room(most(request));
  let n = http_do(pointer(request), length(request), inAt, inCap);
  if (!fits(n)) n = http_do(0, 0, inAt, inCap); // the same answer again
  error = min(n, 0);
  let end: i32 = 0; // of the head
  while (end + 1 < n && load<u16>(inAt + end) != 0x0a0a) end++;
  if (end + 1 >= n) return null;
  const head = String.UTF8.decodeUnsafe(inAt, end).split("\n");
  const body = new ArrayBuffer(n - end - 2);
  memory.copy(changetype<usize>(body), inAt + end + 2, body.byteLength);
  return new Response(I32.parseInt(head[0]), head, body);
}

// The minimal runtime collects garbage only when told. Runs leave little, so
// not each pays for it.
const RUNS: i32 = 16;
const LARGE: i32 = 64 << 10;
let runs: i32 = 0;

/** run calls a handler for one event and cleans up behind it. */
export function run(handle: () => i32): i32 {
  const result = handle();
  if (++runs == RUNS || dataLen > LARGE) {
    __collect();
    runs = 0;
  }
  dataLen = -1;
  return result;
}
