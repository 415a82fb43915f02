// Dead-man tells when a sensor has gone silent, and when it is back.
//
// A sensor that was silent for the trigger's "quiet" is noted, and told at the next
// check, all of a minute in one follow-up: so a cable that a digger has cut is one
// alert, not five hundred. While a broker is away, and for GRACE after it is back or
// the agent has started, nobody is told to be silent: they could not be heard.
const KEEP = 30 * 24 * 3600; // seconds; then a sensor that never came back is forgotten
const AT_ONCE = 50; // sensors told by one check; the others by the next

export default function deadMan(event, skerry) {
  const now = event.time.getTime();
  switch (event.trigger.split("/")[1]) {
    case "silent":
      return skerry.state.set(`noted/${event.topic}`, now, KEEP);
    case "check":
      return check(now, skerry);
    case "link":
    case "started":
      return link(event.topic, now, skerry);
    default: // "seen", and what skerry invoke gives
      return seen(event.topic, now, skerry);
  }
}

function seen(topic, now, skerry) {
  const since = skerry.state.get(`silent/${topic}`);
  if (skerry.state.get(`noted/${topic}`) !== undefined) skerry.state.delete(`noted/${topic}`);
  if (since === undefined) return;
  skerry.state.delete(`silent/${topic}`);
  const seconds = Math.max(0, Math.round((now - since) / 1000));
  tell(skerry, topic, { present: true, silent_s: seconds });
  skerry.followup("alerts", { back: [topic], silent_s: seconds });
}

function check(now, skerry) {
  const grace = 1000 * Number(skerry.config("GRACE") ?? 300);
  if (!(grace >= 0)) throw new Error("GRACE is no number of seconds; change it in the function's env");
  const reached = skerry.state.get("reached") ?? 0;
  // A clock that was set back must not silence the alarm: hence the first comparison.
  if (now >= reached && now - reached < grace) return;
  if (skerry.state.list("away/", 1).length > 0) return;

  const silent = [];
  for (const key of skerry.state.list("noted/", AT_ONCE)) {
    const topic = key.slice("noted/".length);
    const since = skerry.state.get(key);
    skerry.state.delete(key);
    if (skerry.state.get(`silent/${topic}`) !== undefined) continue; // told already
    skerry.state.set(`silent/${topic}`, since, KEEP);
    tell(skerry, topic, { present: false, last: new Date(since).toISOString() });
    silent.push(topic);
  }
  if (silent.length > 0) skerry.followup("alerts", { silent });
}

// link takes what happens to the agent: "started", "link/<broker>/up" and ".../down".
function link(topic, now, skerry) {
  const [, broker, state] = topic.split("/");
  if (state === "down") return skerry.state.set(`away/${broker}`, now, KEEP);
  if (broker) skerry.state.delete(`away/${broker}`);
  skerry.state.set("reached", now);
}

// tell keeps at the broker whether a sensor is present, for whoever asks later.
function tell(skerry, topic, what) {
  skerry.publish(`presence/${topic}`, what, { qos: 1, retain: true });
}
