// Errors tells how many there were in a window, and which.
export default function errors(event, skerry) {
  const { start, end, count, events } = event.data;
  const which = events.map((e) => e.data.text).join(" ");
  skerry.publish("plant/controller/errors", { start, end, count, which }, { qos: 1 });
}
