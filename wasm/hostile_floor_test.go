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
	{name: "floor: a process", native: computeApart},
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

const computes = "TEST_COMPUTES" // makes the test binary a process that computes until it is killed

func init() {
	if os.Getenv(computes) != "" {
		for n := 0; ; n++ {
		}
	}
}

func computeApart(ctx context.Context, t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Error(err)
		return
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), computes+"=1")
	if err := cmd.Run(); ctx.Err() == nil {
		t.Errorf("the process that computes has ended: %v", err)
	}
}
