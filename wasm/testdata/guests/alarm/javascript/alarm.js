// Alarm asks central for help when a sensor's temp is above the threshold.
let threshold;

export default function alarm(event, skerry) {
  threshold ??= Number(skerry.config("threshold"));
  const { sensor, line, temp } = event.data;
  if (typeof temp !== "number") skerry.reject("the event has no number temp");
  if (temp > threshold) skerry.followup("central", { alarm: "hot", sensor, line, temp, limit: threshold });
}
