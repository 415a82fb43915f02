// Alarm asks central for help when a sensor's temp is above the threshold.
import * as skerry from "../../../../guest/assemblyscript/skerry";

let limit = "";
let threshold: f64 = 0;

export function skerry_init(): i32 {
  limit = skerry.config("threshold", "");
  threshold = parseFloat(limit);
  return isNaN(threshold) ? skerry.fail(1, "threshold is not a number; set it in the function's env") : 0;
}

function handle(): i32 {
  const event = skerry.json(), temp = event.get("temp");
  const t = temp.number();
  if (isNaN(t)) return skerry.fail(skerry.REJECT, "the event has no number temp");
  if (t <= threshold) return skerry.COMMIT;
  const text = `{"alarm":"hot","sensor":${event.get("sensor").raw()},"line":${event.get("line").raw()},"temp":${temp.raw()},"limit":${limit}}`;
  return skerry.followup("central", "application/json", text) < 0 ? skerry.FAILED : skerry.COMMIT;
}

export function skerry_handle(): i32 { return skerry.run(handle); }
