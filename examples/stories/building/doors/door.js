// Door writes the log of a door.
export default (event, skerry) =>
  skerry.publish("doors/{door}/log", `${event.data.open ? "open" : "shut"} at ${event.time.toISOString()}`);
