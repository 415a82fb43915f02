// Water opens the valve of a field when its soil is dry on average, and closes
// it when that is over. While it rains, nothing is measured.
const DRY = 22; // percent

export default function water(event, skerry) {
  if (event.topic === "weather/rain") {
    skerry.state.set("raining", event.data.raining);
    return;
  }
  const { key: field, count, events, end } = event.data;
  const moisture = events.reduce((sum, e) => sum + e.data.moisture, 0) / count;
  const open = moisture < DRY;
  if (open === (skerry.state.get(`open/${field}`) ?? false)) return;
  skerry.state.set(`open/${field}`, open);
  skerry.publish(`fields/${field}/valve`, { open, moisture, end }, { qos: 1, retain: true });
}
