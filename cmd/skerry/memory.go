package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	trimEvery = 30 * time.Second
	trimAbove = 24 << 20 // bytes of heap that the process holds
)

// trimMemory gives memory back to the system that was needed for a moment only,
// such as what the database takes while it writes a table: the runtime would
// keep it until the heap has grown as large once more. It runs until ctx ends.
func trimMemory(ctx context.Context) {
	tick := time.NewTicker(trimEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if heldHeap() > trimAbove {
				debug.FreeOSMemory()
			}
		}
	}
}

// heldHeap is what the heap takes from the system, bytes.
func heldHeap() (sum uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	for _, s := range samples {
		sum += s.Value.Uint64()
	}
	return sum
}
