// Irrigation waters a field when its soil is dry: for a while, not while it rains, not
// again before the water has soaked in, and never more than the budget of a day.
//
// The valve is told for how long to open and closes by itself, so that a gateway
// that dies with the valve open floods nothing.
const DAY = 24 * 3600 * 1000; // milliseconds
const KEEP = 7 * 24 * 3600; // seconds; then a field without readings is forgotten
const READINGS = 5; // whose median counts: one probe that lies opens no valve

export default function irrigation(event, skerry) {
  const now = event.time.getTime();
  if (event.topic === "weather/rain") return rain(event.data, now, skerry);
  const [, field] = /^fields\/([^/]+)\/soil$/.exec(event.topic) ?? skerry.reject("the topic is not fields/<field>/soil");

  const moisture = event.data?.moisture;
  if (moisture === null) return; // the probe says that it measured nothing
  if (typeof moisture !== "number" || moisture < 0 || moisture > 100) {
    skerry.reject('the event has no number "moisture" from 0 to 100 (percent)');
  }
  const set = settings(skerry);
  const state = skerry.state.get(`field/${field}`) ?? { readings: [], watered: [], told: false };
  state.readings = [...state.readings, moisture].slice(-READINGS);
  // The budget is that of the last 24 hours: so no midnight and no time zone is needed.
  // What seems to be in the future was noted before the clock was set back.
  state.watered = state.watered.filter((w) => now - w.at < DAY && w.at <= now);
  water(field, state, set, now, skerry);
  skerry.state.set(`field/${field}`, state, KEEP);
}

// water decides, and notes in state what it has decided.
function water(field, state, set, now, skerry) {
  const moisture = median(state.readings);
  const used = state.watered.reduce((sum, w) => sum + w.seconds, 0);
  const last = state.watered.at(-1)?.at ?? 0;
  if (moisture >= set.dry) {
    state.told = false; // wet enough: the next dry spell may be told again
    return;
  }
  if (state.readings.length < 3 || now - last < set.soak * 1000 || raining(set, now, skerry)) return;

  const seconds = Math.min(set.pulse, set.budget - used);
  if (seconds > 0) {
    state.watered.push({ at: now, seconds });
    skerry.publish(`fields/${field}/valve/set`, { open_s: seconds, moisture, used_s: used + seconds }, { qos: 1 });
  } else if (!state.told) {
    // All of it used and still dry: an empty tank, a broken pipe, a hot day.
    state.told = true;
    skerry.followup("farm", { field, moisture, used_s: used, text: "still dry, and the water of the day is used up" });
  }
}

function rain(data, now, skerry) {
  if (typeof data?.raining !== "boolean") skerry.reject('the event has no "raining" that is true or false');
  const before = skerry.state.get("rain");
  const wet = data.raining || before?.raining ? now : before?.wet; // the last moment of rain
  skerry.state.set("rain", { raining: data.raining, at: now, wet }, KEEP);
}

// raining is true while it rains and for PAUSE after it. A gauge that has said nothing
// for a day is not believed any more.
function raining(set, now, skerry) {
  const rain = skerry.state.get("rain");
  if (!rain) return false;
  const dry = now - (rain.wet ?? 0); // milliseconds; below 0 the clock was set back
  return rain.raining && now - rain.at < DAY || dry >= 0 && dry < set.pause * 1000;
}

function settings(skerry) {
  const number = (key, fallback) => {
    const n = Number(skerry.config(key) ?? fallback);
    if (!(n >= 0)) throw new Error(`${key} is no number of 0 or more; change it in the function's env`);
    return n;
  };
  return {
    dry: number("DRY", 25), pulse: number("PULSE", 600), soak: number("SOAK", 3600),
    budget: number("BUDGET", 2400), pause: number("PAUSE", 21600),
  };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
