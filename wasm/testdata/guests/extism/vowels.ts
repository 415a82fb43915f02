// A plug-in built with the plug-in kit of Extism for AssemblyScript: counts
// vowels, and keeps the sum of all events.
import { Config, Host, LogLevel, Var } from "@extism/as-pdk/lib/pdk";

function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

export function count_vowels(): i32 {
  const text = Host.inputString();
  const vowels = Config.get("vowels");
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    if ((vowels == null ? "aeiouAEIOU" : vowels).includes(text.charAt(i))) count++;
  }
  const before = Var.getString("total");
  const total = (before == null ? 0 : I32.parseInt(before)) + count;
  Var.set("total", Uint8Array.wrap(String.UTF8.encode(total.toString())));
  const topic = Config.get("skerry.topic");
  Host.log(LogLevel.Info, "counted " + (topic == null ? "nothing" : topic));
  Host.outputString('{"count":' + count.toString() + ',"total":' + total.toString() + ',"in":"' + text + '"}');
  return 0;
}
