//go:build !(linux && (amd64 || arm64 || riscv64))

package wasm

// mapMemory reserves nothing where address space is scarce or not ours to map.
func mapMemory(uint64) []byte { return nil }

func unmapMemory([]byte) {}
