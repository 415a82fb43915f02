// Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
// the sensor has been below LIMIT again.
import * as skerry from "../../../wasm/guest/assemblyscript/skerry";

let limit: f64 = 80;

// Runs once, before the first event.
export function skerry_init(): i32 {
  limit = parseFloat(skerry.config("LIMIT", "80"));
  return isNaN(limit) ? skerry.fail(1, "LIMIT is not a number; set it in the function's env") : 0;
}

// Runs for each event. What it decides takes effect when it returns COMMIT, all
// of it, and none of it otherwise.
function handle(): i32 {
  const temperature = skerry.json().get("temperature").number();
  if (isNaN(temperature)) return skerry.fail(skerry.REJECT, 'the event has no number "temperature"');
  const levels = skerry.subject().split("/"); // sensors/<sensor>/temperature
  if (levels.length != 3) return skerry.fail(skerry.REJECT, "the topic is not sensors/<sensor>/temperature");
  const sensor = levels[1];

  const key = "hot/" + sensor;
  const hot = skerry.get(key) !== null;
  if ((temperature >= limit) == hot) return skerry.COMMIT; // nothing new
  if (hot) {
    skerry.log(skerry.INFO, sensor + " has cooled down");
    return skerry.remove(key) < 0 ? skerry.FAILED : skerry.COMMIT;
  }
  skerry.log(skerry.WARN, sensor + " is too hot");
  // When the host refuses a call, it says itself why.
  if (skerry.set(key, "1") < 0) return skerry.FAILED; // the state, kept for the next event
  if (skerry.publish("alarms/" + sensor, skerry.data(), skerry.QOS1) < 0) return skerry.FAILED; // to the broker here
  if (skerry.followup("alarms", "application/json", skerry.data()) < 0) return skerry.FAILED; // to the cloud, as soon as there is a link
  return skerry.COMMIT;
}

export function skerry_handle(): i32 { return skerry.run(handle); }
