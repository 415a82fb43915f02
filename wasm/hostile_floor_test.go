//go:build linux

package wasm_test

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// floors do what any program may, in place of a hostile function: what that does
// to the neighbour is the doing of the system and of Go's scheduler. They are told
// beside the attacks, and move no mark.
var floors = []attack{
	{name: "floor: nothing", native: func(ctx context.Context, _ *testing.T) { <-ctx.Done() }},
	{name: "floor: a process", native: func(ctx context.Context, t *testing.T) { apart(ctx, t, "computes") }},
	{name: "floor: a process that misses", native: func(ctx context.Context, t *testing.T) { apart(ctx, t, "misses") }},
	{name: "floor: a goroutine", native: compute},
	{name: "floor: eight goroutines", native: func(ctx context.Context, t *testing.T) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { compute(ctx, t) })
		}
		wg.Wait()
	}},
}

func compute(ctx context.Context, _ *testing.T) {
	for ctx.Err() == nil {
	}
}

const floorProcess = "TEST_FLOOR" // makes the test binary a process that "computes" or "misses" until it is killed

func init() {
	switch os.Getenv(floorProcess) {
	case "computes":
		for n := 0; ; n++ {
		}
	case "misses": // as testdata/hostile/misses.wat
		memory := make([]uint32, 16<<20)
		for at := uint32(0); ; {
			at = at*1664525 + 1013904223
			word := &memory[at>>2%uint32(len(memory))]
			at += *word
			*word = at
		}
	}
}

// apart runs a process of its own.
func apart(ctx context.Context, t *testing.T, what string) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), floorProcess+"="+what)
	if err := cmd.Run(); ctx.Err() == nil {
		t.Errorf("the process that %s has ended: %v", what, err)
	}
}
