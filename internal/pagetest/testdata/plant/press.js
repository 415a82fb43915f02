// Press refuses what is no pressure, fails on what is too high, and says so.
export default function press(event, skerry) {
  const { bar } = event.data;
  if (typeof bar !== "number") skerry.reject('the event has no number "bar"');
  if (bar > 300) throw new Error(`no valve opens at ${bar} bar`);
  if (bar > 200) skerry.log.warn(`${event.topic} is at ${bar} bar`);
  try {
    skerry.publish("office/summary", { bar });
  } catch {
    skerry.log.info("the office hears nothing");
  }
  skerry.followup("history", { press: event.topic, bar });
}
