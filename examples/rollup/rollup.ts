// Rollup keeps count, minimum, maximum and mean of each sensor, and publishes
// them every EVERY readings as a retained summary; then it starts again.
import * as skerry from "../../wasm/guest/assemblyscript/skerry";

let every: f64 = 20;

export function skerry_init(): i32 {
  every = parseFloat(skerry.config("EVERY", "20"));
  if (!(every >= 1)) return skerry.fail(1, "EVERY is not a number of at least 1; set it in the function's env");
  return 0;
}

// What is kept of a sensor, as four numbers in its state.
class Sum {
  constructor(public count: f64, public min: f64, public max: f64, public sum: f64) {}

  static load(key: string): Sum {
    const b = skerry.get(key);
    if (b === null || b.byteLength != 32) return new Sum(0, Infinity, -Infinity, 0);
    const v = Float64Array.wrap(b);
    return new Sum(v[0], v[1], v[2], v[3]);
  }

  add(x: f64): void {
    this.count += 1;
    this.min = Math.min(this.min, x);
    this.max = Math.max(this.max, x);
    this.sum += x;
  }

  store(key: string): i32 {
    const v = new Float64Array(4);
    v[0] = this.count; v[1] = this.min; v[2] = this.max; v[3] = this.sum;
    return skerry.set(key, v.buffer);
  }
}

// tidy writes a number with two decimals, or none.
function tidy(x: f64): string {
  const cents = <i64>Math.round(Math.abs(x) * 100);
  const sign = x < 0 && cents > 0 ? "-" : "";
  const whole = (cents / 100).toString(), part = cents % 100;
  if (part == 0) return sign + whole;
  return sign + whole + "." + (part < 10 ? "0" : "") + part.toString();
}

// sensorID finds <id> in sensors/<line>/<id>/temperature.
function sensorID(topic: string): string {
  const levels = topic.split("/");
  return levels.length < 2 ? "" : levels[levels.length - 2];
}

function handle(): i32 {
  const x = skerry.json().get("temperature").number();
  if (isNaN(x)) return skerry.fail(skerry.REJECT, 'the event has no number "temperature"');
  const id = sensorID(skerry.subject());
  if (id == "" || id.includes('"') || id.includes("\\")) return skerry.fail(skerry.REJECT, "the topic is not sensors/<line>/<id>/temperature");
  const key = "sum/" + id;
  const sum = Sum.load(key);
  sum.add(x);
  // The host says itself why it refuses.
  if (sum.count < every) return sum.store(key) < 0 ? skerry.FAILED : skerry.COMMIT;
  const summary = '{"id":"' + id + '","count":' + tidy(sum.count) + ',"min":' + tidy(sum.min) +
    ',"max":' + tidy(sum.max) + ',"mean":' + tidy(sum.sum / sum.count) + "}";
  if (skerry.publish("summary/" + id, summary, skerry.QOS1 | skerry.RETAIN) < 0) return skerry.FAILED;
  return skerry.remove(key) < 0 ? skerry.FAILED : skerry.COMMIT;
}

export function skerry_handle(): i32 { return skerry.run(handle); }
