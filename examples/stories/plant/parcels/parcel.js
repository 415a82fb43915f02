// Parcel sends what was gathered to the archive as one follow-up.
export default function parcel(event, skerry) {
  const { kind, key, count, events } = event.data;
  skerry.followup("archive", { kind, key, count, of: events.map((e) => e.data ?? e.data_base64) });
}
