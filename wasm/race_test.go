//go:build race

package wasm_test

// race says that the race detector looks on. It makes all this take ten times as
// long and more, so what is repeated to find a leak is repeated less often.
const (
	race       = true
	leakRounds = 300
)
