package codecache_test

import (
	"testing"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// BenchmarkPrepare compares making an entry with finding it, for a module of C
// and one of Go.
func BenchmarkPrepare(b *testing.B) {
	for _, name := range []string{"overheat", "convert"} {
		module := example(b, name)
		s := open(b, codecache.Options{Dir: b.TempDir()})
		b.Run(name+"/cold", func(b *testing.B) {
			for b.Loop() {
				s.Forget(digestOf(module))
				s.prepare(module)
			}
		})
		b.Run(name+"/warm", func(b *testing.B) {
			for b.Loop() {
				s.prepare(module)
			}
		})
	}
}
