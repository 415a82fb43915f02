package javascript_test

import (
	"testing"

	"github.com/skerry-edge/skerry/wasm/javascript"
	"github.com/tetratelabs/wazero"
)

// alarm is the function of all benchmarks of Skerry, and event its 123 bytes.
const (
	alarm = `export default function (event, skerry) {
  const { device, temperature } = event.data;
  if (temperature > 30) skerry.publish("plant/alarm", { device, temperature });
}`
	event = `{"device":"press-7","temperature":31.5,"unit":"C","ts":1760000000000,"seq":4711,"tags":["hall-2","line-3"],"ok":true,"n":1}`
)

func BenchmarkAlarm(b *testing.B) {
	m := newMachine(b, wazero.NewRuntimeConfig(), javascript.Engine())
	in, err := m.load(b, newHost(alarm))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if outcome, err := in.run(event); outcome != 0 || err != nil {
			b.Fatal(outcome, err, in.err)
		}
	}
	b.StopTimer()
	if len(in.effects) != 1 {
		b.Fatal(in.effects)
	}
}

func BenchmarkLoad(b *testing.B) {
	m := newMachine(b, wazero.NewRuntimeConfig(), javascript.Engine())
	for b.Loop() {
		in, err := m.load(b, newHost(alarm))
		if err != nil {
			b.Fatal(err)
		}
		if err := in.mod.Close(in.ctx); err != nil {
			b.Fatal(err)
		}
	}
}
