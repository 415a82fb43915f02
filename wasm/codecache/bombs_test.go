package codecache_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// u32 is n as WebAssembly writes it.
func u32(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }

func section(id byte, content ...[]byte) []byte {
	c := bytes.Join(content, nil)
	return append(append([]byte{id}, u32(len(c))...), c...)
}

// module is a module of functions ()->() with these bodies, each with its locals.
func module(bodies ...[]byte) []byte {
	var code bytes.Buffer
	for _, b := range bodies {
		code.Write(u32(len(b)))
		code.Write(b)
	}
	return bytes.Join([][]byte{
		[]byte("\x00asm\x01\x00\x00\x00"),
		section(1, []byte{1, 0x60, 0, 0}),
		section(3, u32(len(bodies)), make([]byte, len(bodies))),
		section(5, []byte{1, 0, 1}),
		section(7, []byte{2, 6}, []byte("memory"), []byte{2, 0, 6}, []byte("_start"), []byte{0, 0}),
		section(10, u32(len(bodies)), code.Bytes()),
	}, nil)
}

// body is a function without locals.
func body(instructions ...string) []byte {
	return []byte("\x00" + strings.Join(instructions, "") + "\x0b")
}

func repeat(n int, b []byte) [][]byte {
	all := make([][]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

// sum adds two numbers from memory and drops the result.
const sum = "\x41\x00\x28\x02\x00\x41\x04\x28\x02\x00\x6a\x1a"

// choice is an if with an else, both empty.
const choice = "\x41\x00\x04\x40\x05\x0b"

// nested is n blocks inside each other around code.
func nested(n int, code string) []byte {
	return body(strings.Repeat("\x02\x40", n), code, strings.Repeat("\x0b", n))
}

// wideTable is a function with a br_table of n targets.
func wideTable(n int) []byte {
	return body("\x02\x40\x41\x00\x0e", string(u32(n)), strings.Repeat("\x00", n+1), "\x0b")
}

// manyLocals is a function with n local variables.
func manyLocals(n int) []byte {
	return append(append([]byte{1}, u32(n)...), "\x7f\x0b"...)
}

// bombs take a compiler minutes or gigabytes.
var bombs = map[string]func() []byte{
	"nested blocks":       func() []byte { return module(nested(100_000, "")) },
	"flat if and else":    func() []byte { return module(body(strings.Repeat(choice, 120_000))) },
	"one long function":   func() []byte { return module(body(strings.Repeat(sum, 300_000))) },
	"many functions":      func() []byte { return module(repeat(200_000, body("\x41\x00\x28\x02\x00\x1a"))...) },
	"wide br_table":       func() []byte { return module(wideTable(200_000)) },
	"many locals":         func() []byte { return module(repeat(2_000, manyLocals(49_000))...) },
	"a million functions": func() []byte { return module(repeat(1_000_000, body())...) },
	"locals at the limit": func() []byte { return module(repeat(20_000, manyLocals(10_000))...) },
	"tables at the limit": func() []byte { return module(repeat(1_000, wideTable(15_000))...) },
	"deep at the limit":   func() []byte { return module(repeat(100, nested(3_900, strings.Repeat(sum, 15_000)))...) },
	"long at the limit":   func() []byte { return module(repeat(100, body(strings.Repeat(sum, 21_000)))...) },
	"many choices":        func() []byte { return module(repeat(400, body(strings.Repeat(choice, 2_000)))...) },
}

// TestBombs gives hostile modules little time and memory. Each must be done or
// refused with a sentence that names the next step, while this process neither
// grows nor waits.
func TestBombs(t *testing.T) {
	for name, bin := range bombs {
		t.Run(name, func(t *testing.T) { explode(t, bin(), false) })
	}
	for _, name := range []string{"many functions", "deep at the limit"} {
		t.Run(name+", interpreted", func(t *testing.T) { explode(t, bombs[name](), true) })
	}
}

func explode(t *testing.T, bin []byte, interpret bool) {
	opts := codecache.Options{Dir: t.TempDir(), Memory: 256 << 20, Time: 3 * time.Second, Interpret: interpret}
	s := open(t, opts)
	stall, before, began := watchLatency(t), resident(t), time.Now()
	e, err := s.Prepare(t.Context(), digestOf(bin), func() ([]byte, error) { return bin, nil })
	took, grown, stalled := time.Since(began), resident(t)-before, stall()
	t.Logf("%d bytes: %v after %v; this process grew by %d MiB and stalled for %v at most", len(bin), err, took, grown>>20, stalled)
	if err == nil {
		e.Close()
	} else if msg := err.Error(); strings.Contains(msg, "\n") || !strings.Contains(msg, "split") && !strings.Contains(msg, "build") {
		t.Errorf("%q does not say what to do", msg)
	}
	if took > 10*opts.Time || stalled > opts.Time {
		t.Errorf("took %v and stalled this process for %v, the limit is %v", took, stalled, opts.Time)
	}
	if grown > opts.Memory/2 {
		t.Errorf("this process grew by %d bytes", grown)
	}
	if _, made := s.prepare(example(t, "overheat")); !made {
		t.Error("a good module was not made after the hostile one")
	}
	if left := temporary(t, opts.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// watchLatency returns a function that ends watching, and tells for how long
// this process did not get to run at most.
func watchLatency(t *testing.T) func() time.Duration {
	ctx, cancel := context.WithCancel(t.Context())
	var worst atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		last := time.Now()
		for ctx.Err() == nil {
			<-tick.C
			now := time.Now()
			worst.Store(max(worst.Load(), int64(now.Sub(last))))
			last = now
		}
	}()
	return func() time.Duration {
		cancel()
		<-done
		return time.Duration(worst.Load())
	}
}

// resident is the memory of this process, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
