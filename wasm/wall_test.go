package wasm_test

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestTheTimeThatFunctionsAreTold gives functions a time of our own, each way
// that they can ask for it.
func TestTheTimeThatFunctionsAreTold(t *testing.T) {
	now := time.Date(2026, 5, 1, 8, 0, 0, 123456789, time.UTC)
	opts := cached(t)
	opts.Wall = func() time.Time { return now }
	s := newBench(t, opts)
	script, command := s.script("export default () => new Date().toISOString()"), s.function("wasitime")
	inv, err := invoke(s.load(script), &script, view{}, "{}")
	if err != nil || string(inv.Effects.Result) != "2026-05-01T08:00:00.123Z" {
		t.Errorf("a script is told %s, %v", inv.Effects.Result, err)
	}
	inv, err = invoke(s.load(command), &command, view{}, "{}")
	if err != nil || len(inv.Effects.Result) != 8 || int64(binary.LittleEndian.Uint64(inv.Effects.Result)) != now.UnixNano() {
		t.Errorf("a command is told %x, %v", inv.Effects.Result, err)
	}
}
