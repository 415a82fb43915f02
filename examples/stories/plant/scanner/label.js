// Label prints.
export default function label(event, skerry) {
  const { code, n } = event.data;
  skerry.log(`label ${n} of ${code}`);
  skerry.publish("printer/label", `${code}/${n}`, { qos: 1 });
}
