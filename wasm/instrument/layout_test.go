package instrument_test

import (
	"os"
	"slices"
	"testing"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

func TestRead(t *testing.T) {
	bin, err := os.ReadFile("../testdata/trap.wasm")
	if err != nil {
		t.Fatal(err)
	}
	l, err := instrument.Read(bin)
	if err != nil {
		t.Fatal(err)
	}
	if want := (instrument.Import{Module: "skerry_v1", Name: "event_get", Kind: "func", Type: "(i32,i32,i32)->i32"}); !slices.Contains(l.Imports, want) {
		t.Errorf("imports %+v, want %+v", l.Imports, want)
	}
	if want := (instrument.Export{Name: "skerry_handle", Kind: "func", Type: "()->i32"}); !slices.Contains(l.Exports, want) {
		t.Errorf("exports %+v, want %+v", l.Exports, want)
	}
	if l.MemoryMin != 1 || l.MemoryMax != 65536 || l.Functions == 0 || l.Largest == 0 {
		t.Errorf("%+v", l)
	}
}
