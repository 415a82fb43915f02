// Meter keeps the last reading of each meter for two days, and sums up what was
// used since the last report.
const KEEP = 2 * 24 * 3600; // seconds

export default function meter(event, skerry) {
  if (event.topic.startsWith("meters/")) {
    const { id, kwh } = event.data;
    skerry.state.set(`now/${id}`, kwh, KEEP);
    return;
  }
  const used = {};
  for (const key of skerry.state.list("now/")) {
    const id = key.slice(4), now = skerry.state.get(key);
    used[id] = now - (skerry.state.get(`told/${id}`) ?? 0);
    skerry.state.set(`told/${id}`, now, KEEP);
  }
  skerry.publish("building/report", { due: event.data.due, used }, { qos: 1, retain: true });
  return used;
}
