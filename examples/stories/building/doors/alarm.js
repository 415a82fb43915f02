// Alarm calls the guard.
export default (event, skerry) => skerry.followup("guard", { door: event.topic.split("/")[1], at: new Date() });
