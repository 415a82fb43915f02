package wasm_test

import (
	"context"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/wasm"
)

// BenchmarkExtismAlarm runs the alarm through the whole path of an event.
func BenchmarkExtismAlarm(b *testing.B) {
	for name, data := range map[string]string{
		"miss": `{"id":"s1","seq":17,"ts":1700000000123,"temperature":41.25,"unit":"C","site":"plant-west","line":"l1","ok":true}`,
		"hit":  `{"id":"s1","seq":17,"ts":1700000000123,"temperature":91.25,"unit":"C","site":"plant-west","line":"l1","ok":true}`,
	} {
		b.Run(name, func(b *testing.B) {
			s := newBench(b, wasm.Options{})
			fn := s.function(plugins + "alarm.wasm")
			fn.Env = map[string]string{"LIMIT": "80"}
			m := s.load(fn)
			inv := agent.NewInvocation(&fn, view{}, agent.Outside{})
			ev := event(data)
			b.ReportAllocs()
			for b.Loop() {
				inv.Begin(ev, "t", 1)
				if err := m.Invoke(context.Background(), inv); err != nil || (inv.Effects.Result != nil) != (name == "hit") {
					b.Fatalf("%v, result %q", err, inv.Effects.Result)
				}
			}
		})
	}
}
