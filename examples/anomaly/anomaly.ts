// Anomaly learns what is usual for each topic, and warns when CONFIRM readings in a
// row are more than LIMIT deviations away from that; then it is silent until as many
// are usual again.
//
// An unusual reading is learned as if it were one deviation away: an outlier hardly
// moves what is usual, while a new normal (another product, a new bearing) is learned
// after some hundred readings.
import * as skerry from "../../wasm/guest/assemblyscript/skerry";

const FORGET: u32 = 30 * 24 * 3600; // seconds after the last reading of a topic

let field = "value";
let limit: f64 = 4, learn: f64 = 30, confirm: f64 = 3, weight: f64 = 0.02, floor: f64 = 0.01;

function setting(key: string, fallback: f64, least: f64, most: f64): f64 {
  const text = skerry.config(key, "");
  const n = text == "" ? fallback : parseFloat(text);
  return n >= least && n <= most ? n : NaN;
}

export function skerry_init(): i32 {
  field = skerry.config("FIELD", "value");
  limit = setting("LIMIT", 4, 1, 100);
  learn = setting("LEARN", 30, 2, 1e6);
  confirm = setting("CONFIRM", 3, 1, 1000);
  weight = setting("WEIGHT", 0.02, 0.0001, 0.5);
  floor = setting("FLOOR", 0.01, 0, 1e9);
  if (isNaN(limit + learn + confirm + weight + floor)) {
    return skerry.fail(1, "LIMIT, LEARN, CONFIRM, WEIGHT or FLOOR is no number in its range (README.md); change the function's env");
  }
  return 0;
}

// What is known of a topic: seven numbers in its state.
class Usual {
  n: f64 = 0; // readings learned
  mean: f64 = 0;
  spread: f64 = 0; // mean distance from the mean
  row: f64 = 0; // readings in a row that speak for a change of alarm
  alarm: f64 = 0; // 1 while it is told
  last: f64 = 0; // the time that the newest reading told
  value: f64 = 0; // the newest reading

  static load(key: string): Usual {
    const u = new Usual(), b = skerry.get(key);
    if (b === null || b.byteLength != 56) return u;
    const v = Float64Array.wrap(b);
    u.n = v[0]; u.mean = v[1]; u.spread = v[2]; u.row = v[3]; u.alarm = v[4]; u.last = v[5]; u.value = v[6];
    return u;
  }

  store(key: string): i32 {
    const v = new Float64Array(7);
    v[0] = this.n; v[1] = this.mean; v[2] = this.spread; v[3] = this.row; v[4] = this.alarm; v[5] = this.last; v[6] = this.value;
    return skerry.set(key, v.buffer, FORGET);
  }

  // deviation stands for the standard deviation: of a normal distribution it is 1.25
  // times the mean distance, which outliers move less. It is never below FLOOR, so that
  // a sensor that says the same for hours may still change its last digit.
  deviation(): f64 { return Math.max(1.25 * this.spread, floor); }

  score(x: f64): f64 { return Math.abs(x - this.mean) / this.deviation(); }

  // learn takes a reading in. The first ones count alike, the later ones by WEIGHT.
  learn(x: f64): void {
    if (this.n == 0) this.mean = x;
    this.n += 1;
    const w = Math.max(1 / this.n, weight);
    let off = x - this.mean;
    if (this.n > learn && this.score(x) > limit) off = off < 0 ? -this.deviation() : this.deviation();
    this.mean += w * off;
    this.spread += w * (Math.abs(off) - this.spread);
  }
}

// tidy writes a number with three decimals, or fewer.
function tidy(x: f64): string {
  let rest = <i64>Math.round(Math.abs(x) * 1000), places = 3;
  const sign = x < 0 && rest > 0 ? "-" : "";
  while (places > 0 && rest % 10 == 0) {
    rest /= 10;
    places--;
  }
  const digits = rest.toString().padStart(places + 1, "0"), point = digits.length - places;
  return sign + digits.substring(0, point) + (places > 0 ? "." + digits.substring(point) : "");
}

function handle(): i32 {
  const topic = skerry.subject(), data = skerry.json(), member = data.get(field);
  if (topic == "" || topic.length > 200) return skerry.fail(skerry.REJECT, "the topic is empty, or has more than 200 letters");
  if (member.kind() == 1 || data.kind() == 1) return skerry.COMMIT; // null: the sensor measured nothing
  // A reading is {"value": 1.25}, or the bare number 1.25.
  let x = member.number();
  if (isNaN(x)) x = data.number();
  if (!(Math.abs(x) < 1e12)) return skerry.fail(skerry.REJECT, "the event has no number in FIELD, or one too large to be a reading");

  const key = "usual/" + topic, u = Usual.load(key);
  const ts = data.get("ts").number();
  if (ts == u.last && x == u.value) return skerry.COMMIT; // a duplicate
  // One that comes late is left out; late by more than an hour is a sensor's clock that was set.
  const hour: f64 = ts > 1e11 ? 3600000 : 3600;
  if (ts < u.last && u.last - ts < hour) return skerry.COMMIT;
  u.last = isNaN(ts) ? 0 : ts;
  u.value = x;

  const score = u.score(x);
  if (u.n >= learn) {
    u.row = (score > limit) != (u.alarm == 1) ? u.row + 1 : 0;
    if (u.row >= confirm) {
      u.row = 0;
      u.alarm = 1 - u.alarm;
      if (tell(topic, x, u, score) < 0) return skerry.FAILED; // the host says itself why it refuses
    }
  }
  u.learn(x);
  return u.store(key) < 0 ? skerry.FAILED : skerry.COMMIT;
}

function tell(topic: string, x: f64, u: Usual, score: f64): i32 {
  const text = '{"unusual":' + (u.alarm == 1 ? "true" : "false") + ',"value":' + tidy(x) + ',"usual":' + tidy(u.mean) +
    ',"deviation":' + tidy(u.deviation()) + ',"score":' + tidy(Math.min(score, 1e6)) + "}";
  const n = skerry.publish("anomaly/" + topic, text, skerry.QOS1 | skerry.RETAIN);
  return n < 0 || u.alarm == 0 ? n : skerry.followup("maintenance", "application/json", text);
}

export function skerry_handle(): i32 { return skerry.run(handle); }
