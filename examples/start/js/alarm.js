// Alarm sends one alarm when a sensor is at LIMIT or above, and is silent until
// the sensor has been below LIMIT again.
const LIMIT = Number(process.env.LIMIT ?? 80);
if (Number.isNaN(LIMIT)) throw new Error("LIMIT is not a number; set it in the function's env");

// Runs for each event. What it decides takes effect when it returns, all of it,
// and none of it when it throws.
export default function alarm(event, skerry) {
  const temperature = event.data?.temperature;
  if (typeof temperature !== "number") skerry.reject('the event has no number "temperature"');
  const [, sensor] = event.topic.split("/"); // sensors/<sensor>/temperature

  const hot = skerry.state.get(`hot/${sensor}`) !== undefined;
  if (temperature >= LIMIT === hot) return; // nothing new
  if (hot) {
    skerry.log.info(`${sensor} has cooled down`);
    skerry.state.delete(`hot/${sensor}`);
    return;
  }
  skerry.log.warn(`${sensor} is too hot`);
  skerry.state.set(`hot/${sensor}`, 1); // kept for the next event
  skerry.publish(`alarms/${sensor}`, event.data, { qos: 1 }); // to the broker here
  skerry.followup("alarms", event.data); // to the cloud, as soon as there is a link
}
