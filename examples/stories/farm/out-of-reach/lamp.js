// Lamp shows whether a broker is in reach, and logs for how long it was not.
export default function lamp(event, skerry) {
  const [, broker, state] = event.topic.split("/");
  const now = event.time.getTime();
  if (state === "down") skerry.state.set(broker, now);
  else if (skerry.state.get(broker)) {
    skerry.log(`${broker} was out of reach for ${(now - skerry.state.get(broker)) / 60000} min`);
    skerry.state.delete(broker);
  }
  skerry.publish(`panel/lamps/${broker}`, state === "up" ? "green" : "red", { qos: 1, retain: true });
}
