// Asguest calls every function of skerry.ts once and says what went wrong.
import * as skerry from "../guest/assemblyscript/skerry";

function check(ok: bool, what: string): void {
  if (!ok && failed == "") failed = what;
}

let failed = "";

export function skerry_init(): i32 {
  skerry.log(skerry.INFO, "starting");
  return skerry.config("LIMIT", "none") == "80" ? 0 : skerry.fail(1, "config");
}

function event(): void {
  const data = skerry.text(skerry.event(skerry.DATA));
  check(skerry.text(skerry.event(skerry.SUBJECT)) == "sensors/l1/s1/temperature", "subject");
  check(skerry.text(skerry.event(skerry.ATTEMPT)) == "1", "attempt");
  check(skerry.field(data, "b") == "x\\\"y", "field string");
  check(skerry.field(data, "c") == '[1,{"d":"]"}]', "field list");
  check(skerry.field(data, "d") === null, "nested field");
  check(skerry.number(data, "e") == -12.5, "number");
  check(isNaN(skerry.number(data, "none")), "no number");
  check(skerry.config("NONE", "other") == "other", "config fallback");
  check(skerry.secret("token") === null, "secret");
  check(skerry.now() > 1600000000000, "now");
}

function effects(): void {
  check(skerry.publish("alerts/1", "hot", skerry.QOS1 | skerry.RETAIN) == 0, "publish");
  check(skerry.publish("other", "hot", 0) == skerry.EDENIED, "publish denied");
  check(skerry.emit("next", "go") == 0, "emit");
  check(skerry.followup("ops", "text/plain", "help") == 0, "followup");
  skerry.log(skerry.WARN, "careful");
}

function state(): void {
  const b = String.UTF8.encode("2"), two = String.UTF8.encode("two");
  check(skerry.set("b", b, 60) == 0 && skerry.set("gone", b) == 0 && skerry.remove("gone") == 0, "set");
  check(skerry.get("gone") === null, "get gone");
  check(skerry.compareAndSet("b", b, two) == 1 && skerry.compareAndSet("b", b, two) == 0, "cas");
  check(skerry.compareAndSet("c", null, two) == 1 && skerry.compareAndSet("c", null, two) == 0, "cas absent");
  check(skerry.add("n", -7) == -7 && skerry.add("b", 1) == skerry.ADD_FAILED, "add");
  const got = skerry.get("b");
  check(got !== null && skerry.text(got) == "two", "get");
  check(skerry.keys("", 0).join(",") == "b,c,n" && skerry.keys("", 1).join(",") == "b", "keys");
}

export function skerry_handle(): i32 {
  event();
  effects();
  state();
  check(skerry.result("done") == 0, "result");
  return failed == "" ? skerry.COMMIT : skerry.fail(skerry.FAILED, failed);
}
