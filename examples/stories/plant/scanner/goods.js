// Goods counts what comes in, and has a label printed by its neighbour.
export default function goods(event, skerry) {
  const code = event.data.code.trim();
  const n = skerry.state.add(`goods/${code}`);
  skerry.emit("label", { code, n });
}
