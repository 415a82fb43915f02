// Recipe checks a recipe and gives it to its machine.
export default function recipe(event, skerry) {
  const [machine, file] = event.topic.split("/");
  const { name, speed } = event.data;
  if (event.attempt > 1) skerry.log.warn(`${file}: try ${event.attempt}`);
  if (typeof speed !== "number") throw new Error(`${file} has no speed`);
  skerry.state.set(machine, name);
  skerry.publish("machines/{machine}/recipe", { name, speed }, { qos: 1, retain: true });
}
