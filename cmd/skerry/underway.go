package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// underway is the memory in which the agent notes what runs: a file in the data
// directory, mapped, so that it outlives the process in the kernel's page cache. What is
// in it counts only as long as the machine has not been off since: after a power cut it
// may be old, and a gateway whose power goes in the middle of an event did not die of it.
// Nil is none.
type underway struct{ file []byte }

const (
	underwayFile = "underway"
	underwaySize = 256 << 10 // for 255 workers
	underwayHead = 1024      // the name of the boot, and zeros; the agent's is the rest
)

// bootFile has another name for each boot of the machine.
const bootFile = "/proc/sys/kernel/random/boot_id"

// openUnderway maps the file at path, and makes it if it is not there. What another
// boot has left in it is gone.
func openUnderway(path string) (*underway, error) {
	boot, err := os.ReadFile(bootFile)
	if err != nil {
		return nil, fmt.Errorf("tell one boot from the next: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	if err := fresh(f, boot); err != nil {
		return nil, err
	}
	file, err := syscall.Mmap(int(f.Fd()), 0, underwaySize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &underway{file}, nil
}

// fresh makes f the file of this boot, if it is not.
func fresh(f *os.File, boot []byte) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	now, was := make([]byte, underwayHead), make([]byte, underwayHead)
	copy(now, boot)
	size := 2 * underwayHead // the agent has another look at the rest
	if info.Size() == underwaySize {
		if _, err := f.ReadAt(was, 0); err != nil {
			return err
		}
	} else { // all of it: where the disk is full, a hole cannot be written to
		size = underwaySize
	}
	if bytes.Equal(was, now) {
		return nil
	}
	if _, err := f.WriteAt(append(now, make([]byte, size-underwayHead)...), 0); err != nil {
		return err
	}
	return errors.Join(f.Truncate(underwaySize), f.Sync())
}

// memory is the agent's part; nil if there is none.
func (u *underway) memory() []byte {
	if u == nil {
		return nil
	}
	return u.file[underwayHead:]
}

// forget has the next start know of nothing: this one ends because it was asked to,
// and will not wait for what runs.
func (u *underway) forget() {
	if u != nil {
		clear(u.file[:underwayHead])
	}
}

// close ends the mapping. Nothing runs any more.
func (u *underway) close() error {
	if u == nil {
		return nil
	}
	return syscall.Munmap(u.file)
}
