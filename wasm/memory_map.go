//go:build linux && (amd64 || arm64 || riscv64)

package wasm

import "golang.org/x/sys/unix"

// mapMemory reserves n bytes of zeros; nil if the system will not.
func mapMemory(n uint64) []byte {
	space, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	return space
}

func unmapMemory(space []byte) {
	// It fails only for a range that is not mapped.
	_ = unix.Munmap(space)
}
