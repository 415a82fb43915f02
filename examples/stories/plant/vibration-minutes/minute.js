// Minute sums up the readings of a window.
export default function minute(event, skerry) {
  const { start, count, late, events } = event.data;
  const rms = events.map((e) => e.data.rms);
  const mean = rms.reduce((a, b) => a + b, 0) / count;
  skerry.publish("machines/{id}/minute", { start, count, late, mean, peak: Math.max(...rms) }, { qos: 1 });
}
