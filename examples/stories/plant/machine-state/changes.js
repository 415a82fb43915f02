// Changes counts changes of a machine's state, and takes the switch that says
// whether anybody wants to know.
export default function changes(event, skerry) {
  const [, machine, what] = event.topic.split("/");
  if (what === "watched") {
    skerry.state.set("watched", event.data);
    return;
  }
  const n = skerry.state.add(`changes/${machine}`);
  skerry.publish(`machines/{id}/changes`, { n, ...event.data }, { qos: 1 });
}
