package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const deviceKeySize = 32

// deviceKey is the secret that seals this device's compiled code, made at the
// first start. One that is lost or damaged is made again: what the old one
// sealed is compiled anew.
func deviceKey(data string) ([]byte, error) {
	path := filepath.Join(data, "device.key")
	key, err := os.ReadFile(path)
	if err == nil && len(key) == deviceKeySize {
		return key, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data: read %s: %w; the agent must own it", path, err)
	}
	key = make([]byte, deviceKeySize)
	_, _ = rand.Read(key) // never fails
	part := path + ".part"
	if err := errors.Join(writeSynced(part, key), os.Rename(part, path)); err != nil {
		return nil, fmt.Errorf("data: keep %s: %w", path, err)
	}
	return key, nil
}

// writeSynced writes a file that only its owner may read, to the disk.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// compiler is the command that compiles modules in a process of its own.
func compiler() []string { return []string{compilerProgram, "compile-module"} }

var compilerProgram = "/proc/self/exe" // tests have one without the race detector
