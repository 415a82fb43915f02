package javascript

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"sync"
)

// Module is the import module that engines ask for their source; only this
// engine is linked with it.
const Module = "skerry_js"

// Names of the functions in Module.
const (
	// SourceGet (buf, cap) -> length of the source, which is copied if it fits.
	SourceGet = "source_get"
	// LimitGet (which) -> i64: the limit LimitTimeout or LimitMemory.
	LimitGet = "limit_get"
)

// What LimitGet is asked for.
const (
	LimitTimeout = 0 // of one run, in milliseconds
	LimitMemory  = 1 // of an instance, in bytes
)

//go:embed engine.wasm.gz
var compressed []byte

// Engine returns the WebAssembly module that runs JavaScript. The slice is
// shared: do not change it.
var Engine = sync.OnceValue(func() []byte {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		panic(fmt.Sprintf("the embedded JavaScript engine is damaged: %v", err)) // the binary itself is
	}
	engine, err := io.ReadAll(r)
	if err != nil {
		panic(fmt.Sprintf("the embedded JavaScript engine is damaged: %v", err))
	}
	return engine
})
