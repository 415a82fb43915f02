// Vibration learns what is usual for each machine, and warns when a reading is
// more than LIMIT standard deviations away from that.
const LEARN = 8; // readings before the first warning
const WEIGHT = 1 / 16; // of the newest reading: about the last 30 count
const MACHINE = /^machines\/([^/]+)\/vibration$/;

export default function vibration(event, skerry) {
  const [, machine] = MACHINE.exec(event.subject) ?? skerry.reject("the topic is not machines/<machine>/vibration");
  const { rms } = event.data;
  if (typeof rms !== "number") skerry.reject('the event has no number "rms"');

  const usual = skerry.state.get(machine) ?? { n: 0, mean: rms, variance: 0 };
  const off = rms - usual.mean;
  const sigmas = Math.abs(off) / Math.max(Math.sqrt(usual.variance), 0.01 * usual.mean);
  if (usual.n >= LEARN && sigmas > Number(skerry.config("LIMIT") ?? 4)) {
    skerry.publish(`warnings/${machine}/vibration`, { rms, usual: round(usual.mean), sigmas: round(sigmas) }, { qos: 1 });
    return; // what is not usual is not learned
  }
  const mean = usual.mean + WEIGHT * off;
  const variance = (1 - WEIGHT) * (usual.variance + WEIGHT * off * off);
  skerry.state.set(machine, { n: usual.n + 1, mean, variance });
}

const round = (x) => Math.round(x * 100) / 100;
