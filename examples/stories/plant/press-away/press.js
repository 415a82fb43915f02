// Press talks to a controller that is away until BACK.
export default function press(event, skerry) {
  if (Date.now() < Date.parse(skerry.config("BACK"))) throw new Error("no answer");
  skerry.publish("presses/{press}/done", { order: event.data.order, try: event.attempt }, { qos: 1 });
}
