// Conformance does what the event's topic says, with arguments from its data:
// each is its length as 32 bits, low byte first, and its bytes. The result is
// "=" and a value, or "!" and why not.
import * as skerry from "../../../../guest/assemblyscript/skerry";
import * as kinds from "../../../../guest/assemblyscript/json";

let boot = "";
let input = new ArrayBuffer(0);
let at = 0;

function next(): ArrayBuffer {
  if (input.byteLength - at < 4) return new ArrayBuffer(0);
  const n = load<i32>(changetype<usize>(input) + at);
  const arg = input.slice(at + 4, at + 4 + n);
  at += 4 + n;
  return arg;
}

function text(): string { return String.UTF8.decode(next()); }

function integer(): i64 { return I64.parseInt(text()); }

function value(v: string): i32 { return skerry.result("=" + v); }

function bytes(v: ArrayBuffer | null): i32 {
  if (v === null) return refused(skerry.error);
  const out = new Uint8Array(1 + v.byteLength);
  out[0] = 0x3d;
  memory.copy(out.dataStart + 1, changetype<usize>(v), v.byteLength);
  return skerry.result(out);
}

function refused(n: i32): i32 {
  switch (n) {
    case skerry.EINVALID: return skerry.result("!invalid");
    case skerry.ENOTFOUND: return skerry.result("!not found");
    case skerry.EDENIED: return skerry.result("!denied");
    case skerry.ELIMIT: return skerry.result("!limit");
  }
  return skerry.result("!io");
}

function done(n: i32): i32 { return n < 0 ? refused(n) : value(""); }

function fields(): string {
  return [
    skerry.subject(), skerry.contentType(), skerry.trigger(), skerry.id(), skerry.time().toString(),
    skerry.source(), skerry.eventType(), skerry.attempt().toString(), skerry.functionName(),
  ].join("|");
}

function http(): i32 {
  const r = skerry.http(next());
  if (r === null) return refused(skerry.error);
  return value(r.status.toString() + "\n" + r.header("kind") + "\n" + String.UTF8.decode(r.body));
}

function json(): i32 {
  const what = text(), doc = next();
  let v = new skerry.Json(changetype<usize>(doc), changetype<usize>(doc) + doc.byteLength);
  for (let step = text(); step != ""; step = text()) {
    v = step.charAt(0) == "." ? v.get(step.substring(1)) : v.item(I32.parseInt(step.substring(1)));
  }
  const kind = v.kind();
  if (what == "raw") {
    const raw = v.raw();
    if (raw !== null) return value(raw);
  }
  if (kind == kinds.ABSENT) return refused(skerry.ENOTFOUND);
  if (what == "text" && kind == kinds.STRING) {
    const s = v.text();
    if (s !== null) return value(s);
  }
  if (what == "float" && kind == kinds.NUMBER) {
    const b = new ArrayBuffer(8);
    store<f64>(changetype<usize>(b), v.number());
    return bytes(b);
  }
  if (what == "int" && v.isInteger()) return value(v.integer().toString());
  if (what == "bool" && kind == kinds.BOOL) return value(v.bool() ? "1" : "0");
  return refused(skerry.EINVALID);
}

function state(command: string): i32 {
  const key = text();
  if (command == "get") return bytes(skerry.get(key));
  if (command == "set") {
    const v = next();
    return done(skerry.set(key, v, <u32>integer()));
  }
  if (command == "delete") return done(skerry.remove(key));
  if (command == "add") {
    const sum = skerry.add(key, integer());
    return sum == skerry.ADD_FAILED ? refused(skerry.EINVALID) : value(sum.toString());
  }
  if (command == "list") {
    const keys = skerry.keys(key, <u32>integer());
    return skerry.error < 0 ? refused(skerry.error) : value(keys.join("\n"));
  }
  const old = next(), v = next();
  const n = skerry.compareAndSet(key, old.byteLength == 0 ? null : old, v);
  return n < 0 ? refused(n) : value(n.toString());
}

function effect(command: string): i32 {
  const a = text();
  if (command == "log") {
    skerry.log(<u32>I32.parseInt(a), text());
    return value("");
  }
  const b = next();
  if (command == "publish") return done(skerry.publish(a, b, <u32>integer()));
  if (command == "emit") return done(skerry.emit(a, b));
  return done(skerry.followup(a, String.UTF8.decode(b), next()));
}

function outside(command: string): i32 {
  if (command == "now") return value(skerry.now().toString());
  if (command == "http") return http();
  if (command == "sleep") return done(skerry.sleep(<u32>integer()));
  if (command == "random") return bytes(skerry.random(<i32>integer()));
  if (command == "secret") {
    const s = skerry.secret(text());
    return s === null ? refused(skerry.error) : value(s);
  }
  const v = skerry.config(text(), "\0");
  return v == "\0" ? refused(skerry.ENOTFOUND) : value(v);
}

function handle(): i32 {
  const command = skerry.subject();
  input = skerry.data();
  at = 0;
  if (command == "echo") return skerry.result(input);
  if (command == "boot") return value(boot);
  if (command == "fields") return value(fields());
  if (command == "json") return json();
  if (command == "reject") return skerry.fail(skerry.REJECT, text());
  if (command == "retry") return skerry.fail(skerry.RETRY, text());
  if (command == "fail") return skerry.fail(skerry.FAILED, text());
  if (command == "trap") unreachable();
  if (command == "throw") throw new Error(text());
  if (command == "refused") return skerry.publish(text(), "", 0) < 0 ? skerry.FAILED : skerry.COMMIT;
  if (command == "why") {
    skerry.publish(text(), "", 0);
    return value(skerry.reason());
  }
  if (["get", "set", "delete", "add", "cas", "list"].includes(command)) return state(command);
  if (["publish", "emit", "followup", "log"].includes(command)) return effect(command);
  return outside(command);
}

export function skerry_init(): i32 {
  skerry.log(skerry.INFO, "starting");
  boot = skerry.config("BOOT", "");
  return boot == "" ? skerry.fail(1, "BOOT is not set") : 0;
}

export function skerry_handle(): i32 { return skerry.run(handle); }
