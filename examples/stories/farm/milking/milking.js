// Milking sums up one visit of a cow, and tells the herd's book.
export default function milking(event, skerry) {
  const { key: cow, start, count, events } = event.data;
  const kg = events.reduce((sum, e) => sum + e.data.kg, 0);
  skerry.publish(`cows/${cow}/milking`, { start, kg, readings: count }, { qos: 1 });
  skerry.emit("herd", { cow, kg });
}
