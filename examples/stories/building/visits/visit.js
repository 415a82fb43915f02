// Visit tells of a visit when it is over: a badge that was not seen for a while.
export default function visit(event, skerry) {
  const { key, start, end, count } = event.data;
  const [gate, badge] = key.split("/");
  const seconds = (new Date(end) - new Date(start)) / 1000;
  skerry.publish(`gates/${gate}/visit`, { badge, start, seconds, count }, { qos: 1 });
}
