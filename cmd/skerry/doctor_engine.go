package main

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

//go:embed doctor_loop.wasm
var doctorLoop []byte

// engineSpeed is what functions cost on this device.
type engineSpeed struct {
	empty time.Duration // a run that does nothing
	turns time.Duration // a million turns of a small loop
	fuel  float64       // units a second
}

const (
	measureEmpty = 30 * time.Millisecond
	measureLoop  = 20 * time.Millisecond // the last of some runs, each twice as long as the one before
	measureTries = 3                     // at least; the fastest counts, since other programs run too
)

// measureEngine runs a small module in the runtime that functions run in.
func measureEngine(ctx context.Context) (s engineSpeed, err error) {
	module := oneModule(doctorLoop)
	fn := agent.Function{Name: "local/doctor", Digest: module.digest(), Size: int64(len(module)), Limits: fleetsync.DefaultLimits(true)}
	rt := sandbox(module, nil, nil)
	defer closing(&err, rt.Close)
	m, err := rt.Load(ctx, fn)
	if err != nil {
		return s, err
	}
	defer closing(&err, m.Close)
	inv := agent.NewInvocation(&fn, emptyState{}, agent.Outside{})
	run := func(data []byte) (time.Duration, error) {
		inv.Begin(&agent.Event{ID: "doctor", Data: data}, fn.Name, 1)
		begin := time.Now()
		err := m.Invoke(ctx, inv)
		return time.Since(begin), err
	}
	for n, begin := 0, time.Now(); n < measureTries || time.Since(begin) < measureEmpty; n++ {
		took, err := run(nil)
		if err != nil {
			return s, err
		}
		if s.empty == 0 || took < s.empty {
			s.empty = took
		}
	}
	for thousands := 8; ; thousands *= 2 {
		took := time.Duration(math.MaxInt64)
		for range measureTries {
			once, err := run(make([]byte, thousands))
			if err != nil {
				return s, err
			}
			took = min(took, once)
		}
		if took >= measureLoop || thousands >= 1<<20 {
			s.turns = took * 1000 / time.Duration(thousands)
			s.fuel = float64(inv.Usage.Fuel) / took.Seconds()
			return s, nil
		}
	}
}

func checkEngine(ctx context.Context) finding {
	s, err := measureEngine(ctx)
	if err != nil {
		return finding{"engine", failing, "a small function does not run: " + oneSentence(err), "report it with the output of: skerry version; uname -a"}
	}
	cost := fmt.Sprintf("a run that does nothing takes %s here, a million turns of a small loop %s, and a second burns %.0f million units of fuel",
		round(s.empty), round(s.turns), s.fuel/1e6)
	if !wasm.Interpreted() {
		return finding{"engine", fine, fmt.Sprintf("functions are compiled (%s): %s", runtime.GOARCH, cost), ""}
	}
	return finding{
		"engine", warning,
		fmt.Sprintf("functions are interpreted (%s), 30 to 170 times slower than where they are compiled (amd64, arm64), may nest 2,000 calls, and have a timeout of %s where they state none: %s",
			runtime.GOARCH, fleetsync.DefaultLimits(true).Timeout, cost),
		"use a 64-bit system if the board has one; else write functions in C, Rust or AssemblyScript, keep them small, and try each with skerry invoke",
	}
}

// round keeps three digits or so.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
