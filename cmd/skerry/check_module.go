package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/wasm"
)

// publishChecks are the parts of a manifest that other rooms understand.
func publishChecks() fleetsync.Checks { return manifestChecks(wasm.Inspect) }

// startChecks are publishChecks, and start each module once as its function.
func startChecks(ctx context.Context) fleetsync.Checks {
	checks := publishChecks()
	checks.Start = func(fn agent.Function, module []byte) error {
		fn.Limits.Timeout = max(fn.Limits.Timeout, startWithin)
		if err := startOnce(ctx, fn, module); err != nil {
			return errors.New(loadText(err, fn.Name))
		}
		return nil
	}
	return checks
}

// startWithin is what a module may take to start on the machine that tries it,
// at least: it may be busy.
const startWithin = 10 * time.Second

// startOnce compiles a module and starts an instance of fn, as a device would.
func startOnce(ctx context.Context, fn agent.Function, module oneModule) (err error) {
	rt := sandbox(module, nil, nil)
	defer closing(&err, rt.Close)
	m, err := rt.Load(ctx, fn)
	if err != nil {
		return err
	}
	return m.Close(ctx)
}

// deviceChecks leave the inside of modules to who compiles them, in a process of
// its own. Loading describes a module once more: that takes 60 us for 3 MiB, which
// is not worth keeping what was found until then.
func deviceChecks() fleetsync.Checks { return manifestChecks(wasm.Describe) }

func manifestChecks(inspect func(module []byte) (wasm.Info, error)) fleetsync.Checks {
	return fleetsync.Checks{
		Language: when.Language{},
		Schedule: sensors.CheckSchedule,
		Module: func(module []byte, memory int64) ([]string, error) {
			info, err := inspect(module)
			if err != nil {
				return nil, err
			}
			return checkModule(info, memory)
		},
	}
}

// checkModule refuses what the runtime would refuse when it loads the module,
// and tells which functions of skerry_v1 the module imports.
func checkModule(info wasm.Info, memory int64) (imports []string, err error) {
	if need := startMemory(info); need > memory {
		return nil, fmt.Errorf("the module needs %s of memory to start, its limit is %s: raise limits.memory of the function",
			agent.BytesText(need), agent.BytesText(memory))
	}
	return hostImports(info), nil
}

// startMemory is what a module needs to start, in bytes.
func startMemory(info wasm.Info) int64 { return int64(info.MemoryMin) * 64 << 10 }

// hostImports are the functions of skerry_v1 that a module imports because it
// uses them. JavaScript has none: its engine imports all there are.
func hostImports(info wasm.Info) []string {
	var names []string
	for _, im := range info.Imports {
		if im.Module == string(wasm.SkerryV1) && info.ABI != wasm.JavaScript {
			names = append(names, im.Name)
		}
	}
	return names
}
