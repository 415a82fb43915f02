// Fan switches the fan of a room on above HIGH, and off below LOW again.
const LOW = 22, HIGH = 25; // degrees Celsius

export default function fan(event, skerry) {
  const { celsius } = event.data;
  const key = `fan/${event.topic.split("/")[1]}`, on = skerry.state.get(key) ?? false;
  const want = celsius > HIGH || (on && celsius >= LOW);
  if (want === on) return;
  skerry.state.set(key, want);
  skerry.publish("fans/{room}/set", { on: want }, { qos: 1, retain: true });
}
