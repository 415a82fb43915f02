package wasm

import (
	"encoding/binary"
	"strings"
	"testing"
)

// FuzzPlugMemory does what a hostile plug-in may do with its memory: blocks
// never overlap, never exceed the limit, and nothing outside is reached.
func FuzzPlugMemory(f *testing.F) {
	f.Add([]byte{0, 100, 0, 0, 200, 0, 1, 0, 0, 2, 1, 0, 3, 9, 9})
	f.Add([]byte{0, 0, 255, 0, 0, 255, 4, 0, 0, 0, 1, 0, 1, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		const most = 200 << 10
		var p plugMemory
		defer p.unmap()
		sizes := map[uint64]uint64{} // of the blocks there are
		var handles []uint64
		for ; len(script) >= 3; script = script[3:] {
			arg := uint64(binary.LittleEndian.Uint16(script[1:]))
			switch script[0] % 5 {
			case 0:
				h := p.alloc(arg, most, 0)
				if arg == 0 && h != 0 {
					t.Fatal("a block of nothing")
				}
				if h != 0 {
					sizes[h], handles = arg, append(handles, h)
				}
			case 1:
				if len(handles) > 0 {
					h := handles[arg%uint64(len(handles))]
					p.release(h)
					delete(sizes, h)
				}
			case 2:
				p.release(plugBase + arg)
				delete(sizes, plugBase+arg)
			case 3:
				addr := plugBase + arg*16 - 8
				_, ok := p.loadWord(addr)
				if wrote := p.storeWord(addr, arg); ok != wrote || ok && addr < plugBase {
					t.Fatalf("at %d: %v, %v", addr, ok, wrote)
				}
				_, ok = p.loadByte(addr)
				if wrote := p.storeByte(addr, arg); ok != wrote {
					t.Fatalf("at %d: %v, %v", addr, ok, wrote)
				}
			case 4:
				p.reset()
				clear(sizes)
				handles = nil
			}
			checkPlugMemory(t, &p, sizes, most)
		}
	})
}

func checkPlugMemory(t *testing.T, p *plugMemory, sizes map[uint64]uint64, most int) {
	t.Helper()
	if len(p.buf) > most || p.open > len(p.buf) || p.top > p.open {
		t.Fatalf("%d bytes, %d open, %d taken, at most %d", len(p.buf), p.open, p.top, most)
	}
	for h, n := range sizes {
		if b, ok := p.block(h); !ok || uint64(len(b)) != n {
			t.Fatalf("block %d has %d bytes, want %d", h, len(b), n)
		}
	}
	end := 0
	for _, b := range p.blocks {
		if b.at < end || b.at+b.size > p.top {
			t.Fatalf("blocks overlap: %+v", p.blocks)
		}
		end = b.at + b.size
	}
	if n := len(p.blocks); n > 0 && p.blocks[n-1].free {
		t.Fatal("the last block is free, and was not given back")
	}
}

func TestPlugMemoryIsGivenBack(t *testing.T) {
	var p plugMemory
	if p.alloc(1<<20, 2<<20, 0) == 0 || len(p.buf) < 1<<20 {
		t.Fatal("no memory")
	}
	p.reset()
	if len(p.buf) != 0 || p.space != nil {
		t.Errorf("%d bytes are kept for the next run, %d mapped", len(p.buf), len(p.space))
	}
	h := p.alloc(1<<20, 2<<20, 0)
	if b, ok := p.block(h); !ok || b[0] != 0 || b[len(b)-1] != 0 {
		t.Error("no new memory of zeros")
	}
	p.unmap()
	if _, ok := p.loadByte(plugBase); ok || p.taken() != 0 {
		t.Error("memory that was given back can be read")
	}
	if _, ok := p.block(h); ok {
		t.Error("a block outlives its memory")
	}
	p.unmap() // does no harm
}

// TestPlugMemoryGrowsInPlace wants no copies where address space is at hand:
// copying half a gigabyte would hold everybody up.
func TestPlugMemoryGrowsInPlace(t *testing.T) {
	var p plugMemory
	defer p.unmap()
	const limit = 256 << 20
	first, _ := p.block(p.alloc(100, limit, 0))
	first[0] = 7
	for n := uint64(64 << 10); n < limit/4; n *= 2 {
		if p.alloc(n, limit, 0) == 0 {
			t.Fatalf("no %d bytes", n)
		}
	}
	again, ok := p.block(plugBase)
	if !ok || again[0] != 7 {
		t.Fatal("the first block is gone")
	}
	if p.space != nil && &first[0] != &again[0] {
		t.Error("growing moved the memory")
	}
	if probe := mapMemory(1 << 20); probe != nil {
		unmapMemory(probe)
		if p.space == nil {
			t.Error("the memory is on the heap")
		}
	}
	if got, most := p.taken(), int64(limit/2+1<<20); got > most {
		t.Errorf("it takes %d bytes, at most %d are in blocks", got, most)
	}
}

// TestPlugMemoryOnTheHeap is where address space is scarce.
func TestPlugMemoryOnTheHeap(t *testing.T) {
	p := plugMemory{buf: make([]byte, plugPage)}
	h := p.alloc(100, 1<<20, 0)
	if !p.storeByte(h, 7) || p.alloc(300_000, 1<<20, 0) == 0 || p.alloc(900_000, 1<<20, 0) != 0 {
		t.Fatal("blocks are not within the limit")
	}
	if v, ok := p.loadByte(h); !ok || v != 7 || p.space != nil {
		t.Errorf("%d, %t, mapped %d", v, ok, len(p.space))
	}
}

func TestPlugMemoryOfManyBlocks(t *testing.T) {
	var p plugMemory
	defer p.unmap()
	n := 0
	for p.alloc(1, 512<<20, 0) != 0 {
		n++
	}
	if n != plugMost {
		t.Errorf("%d blocks, want %d", n, plugMost)
	}
	if p.reset(); cap(p.blocks) > 0 {
		t.Error("the list of many blocks is kept")
	}
}

func TestPlugMemoryOfSmallRunsIsFree(t *testing.T) {
	var p plugMemory
	defer p.unmap()
	if n := testing.AllocsPerRun(100, func() {
		for range 10 {
			p.alloc(1000, 1<<20, 0)
		}
		p.reset()
	}); n > 0 || len(p.buf) == 0 {
		t.Errorf("%v allocations per run, %d bytes are kept", n, len(p.buf))
	}
}

func FuzzParsePlugRequest(f *testing.F) {
	f.Add([]byte(`{"url":"https://a.example/","method":"POST","headers":{"A":"b"}}`))
	f.Add([]byte(`{"headers":{"a":1}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		req, err := parsePlugRequest(text)
		if (req == nil) == (err == nil) || req != nil && req.Method == "" {
			t.Errorf("%+v, %v", req, err)
		}
	})
}

func TestEntry(t *testing.T) {
	fn := func(names ...string) Info {
		var info Info
		for _, n := range names {
			name, typ, ok := strings.Cut(n, ":")
			if !ok {
				typ = "()->i32"
			}
			info.Exports = append(info.Exports, Export{Name: name, Kind: "func", Type: typ})
		}
		return info
	}
	for _, tt := range []struct {
		exports []string
		env     string
		want    string // the name, or what the error says after "!"
	}{
		{[]string{"greet"}, "", "greet"},
		{[]string{"greet", "handle"}, "", "handle"},
		{[]string{"greet", "handle"}, "greet", "greet"},
		{[]string{"greet", "_initialize:()->", "_start:()->", "__wasm_call_ctors:()->", "hs_init:(i32,i32)->", "asyncify_get_state", "malloc:(i32)->i32"}, "", "greet"},
		{[]string{"_start:()->", "greet"}, "_start", "_start"},
		{[]string{"a", "b"}, "", "!exports a, b; name the one to call in env EXTISM_FUNCTION"},
		{[]string{"a:()->"}, "", "!exports no function of type ()->i32"},
		{[]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}, "", "!h, i, j and others;"},
		{[]string{"a:()->"}, "b", "!it exports no function of type ()->i32"},
	} {
		info := fn(tt.exports...)
		got, err := info.Entry(map[string]string{extismFunction: tt.env})
		if err != nil {
			got = "!" + err.Error()
		}
		if words, failing := strings.CutPrefix(tt.want, "!"); got != tt.want && !(failing && err != nil && strings.Contains(got, words)) {
			t.Errorf("%v with %q: %q, want %q", tt.exports, tt.env, got, tt.want)
		}
	}
}

func TestInitialisers(t *testing.T) {
	export := func(name, typ string) Export { return Export{Name: name, Kind: "func", Type: typ} }
	for want, exports := range map[string][]Export{
		"":                    {export("greet", "()->i32")},
		"_initialize":         {export("_initialize", "()->"), export("__wasm_call_ctors", "()->")},
		"__wasm_call_ctors":   {export("__wasm_call_ctors", "()->")},
		"_initialize hs_init": {export("hs_init", "(i32,i32)->"), export("hs_exit", "()->"), export("_initialize", "()->")},
	} {
		info := Info{Exports: exports}
		if got := strings.Join(info.initialisers(), " "); got != want {
			t.Errorf("%+v: %q, want %q", exports, got, want)
		}
	}
}
