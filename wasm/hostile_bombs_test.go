package wasm_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/wasm"
)

var (
	constant = body("\x00", []byte("\x41\x00\x0b")) // i32.const 0
	plain    = hostileModule(nil, constant)
)

func repeated(n int, s string) []byte { return []byte(strings.Repeat(s, n)) }

// jumpTable is a br_table with n targets.
func jumpTable(n int) []byte {
	return body("\x00", []byte("\x02\x40\x41\x00\x0e"), leb(n), repeated(n+1, "\x00"), []byte("\x0b\x41\x00\x0b"))
}

// bombs are modules that are small, or nearly, and would cost much to prepare
// or to start. Each is refused with a sentence, before it does.
var bombs = []struct {
	name, says string
	module     func() []byte
}{
	{"a million functions", "functions", func() []byte { return hostileModule(nil, slices.Repeat([][]byte{constant}, 1_000_000)...) }},
	{"one function of 4 MB", "function of", func() []byte {
		return hostileModule(nil, body("\x00", repeated(1_300_000, "\x41\x00\x1a"), []byte("\x41\x00\x0b")))
	}},
	{"80,000 blocks in each other", "nest", func() []byte {
		return hostileModule(nil, body("\x00", repeated(80_000, "\x02\x40"), repeated(80_000, "\x0b"), []byte("\x41\x00\x0b")))
	}},
	{"a jump table of 200,000 targets", "br_table", func() []byte { return hostileModule(nil, jumpTable(200_000)) }},
	{"4,000,000,000 local variables", "local", func() []byte { return hostileModule(nil, body("\x01\xff\xff\xff\xff\x0f\x7e", []byte("\x41\x00\x0b"))) }},
	{"a table of 4,000,000,000 entries", "table", func() []byte {
		m := bytes.Replace(plain, []byte(memory), slices.Concat([]byte("\x04\x08\x01\x70\x00\xff\xff\xff\xff\x0f"), []byte(memory)), 1)
		return m
	}},
	{"4 GiB of memory", "memory", func() []byte {
		return bytes.Replace(plain, []byte(memory), []byte("\x05\x05\x01\x00\x80\x80\x04"), 1)
	}},
	{"more pages than there are", "memory", func() []byte {
		return bytes.Replace(plain, []byte(memory), []byte("\x05\x07\x01\x00\xff\xff\xff\xff\x0f"), 1)
	}},
	{"4,000,000,000 functions that are not there", "", func() []byte {
		return slices.Concat([]byte(header), []byte(types), []byte("\x03\x05\xff\xff\xff\xff\x0f"))
	}},
	{"a module of 40 MB", "at most", func() []byte { return slices.Concat(plain, []byte("\x00"), leb(40<<20), make([]byte, 40<<20)) }},
	{"a million globals", "global", func() []byte {
		return hostileModule(section(6, 1_000_000, repeated(1_000_000, "\x7f\x01\x41\x00\x0b")), constant)
	}},
	{"a million parameters", "", func() []byte {
		m := slices.Concat([]byte(header), section(1, 2, []byte("\x60\x00\x01\x7f\x60"), leb(1_000_000), repeated(1_000_000, "\x7e"), []byte("\x00")))
		return bytes.Replace(plain, []byte(header+types), m, 1)
	}},
}

func TestCompileBombs(t *testing.T) {
	s := newBench(t, wasm.Options{})
	fn := s.function("work")
	good := s.load(fn)
	before := resident(t)
	for _, b := range bombs {
		t.Run(b.name, func(t *testing.T) {
			bomb := fn
			bomb.Digest = s.b.add(b.module())
			begun := time.Now()
			m, err := s.rt.Load(context.Background(), bomb)
			took := time.Since(begun)
			delete(s.b, bomb.Digest)
			if err == nil {
				t.Fatalf("it was loaded; close: %v", m.Close(context.Background()))
			}
			if text := err.Error(); !strings.Contains(text, b.says) || len(text) > 400 || strings.Contains(text, "\n") {
				t.Errorf("refused with %.400q, want a sentence about %q", text, b.says)
			}
			if took > slowness*time.Second {
				t.Errorf("refusing it took %v", took)
			}
			if _, err := invoke(good, &fn, nil, "x"); err != nil {
				t.Errorf("its neighbour does not work any more: %v", err)
			}
		})
	}
	bound := 256 << 20 // compiling one takes a gigabyte
	if race {
		bound *= 2 // the detector keeps notes beside all memory
	}
	if grown := resident(t) - before; int(grown) > bound {
		t.Errorf("the bombs left %d KiB", grown>>10)
	}
}
