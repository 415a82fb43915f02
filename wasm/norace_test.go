//go:build !race

package wasm_test

const (
	race       = false
	leakRounds = 1000
)
