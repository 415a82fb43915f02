package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A seal is a file beside a cache entry that holds the entry's SHA-256 in hex.
// It finds damage, not tampering: who can write here can write both.
const sealSuffix = ".sum"

// maxCacheBytes bounds the cache; the oldest entries go first, when it is opened.
const maxCacheBytes = 256 << 20

// entry is one file of compiled code.
type entry struct {
	path string
	size int64
	time time.Time
}

// scrub makes dir, for the agent alone, and removes from it every entry that
// has no valid seal, and the oldest beyond maxCacheBytes.
func scrub(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	all, err := entries(dir)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b entry) int { return b.time.Compare(a.time) }) // newest first
	var kept int64
	for _, e := range all {
		ok, err := sealed(e.path)
		if err != nil {
			return err
		}
		if ok && kept+e.size <= maxCacheBytes {
			kept += e.size
			continue
		}
		if err := drop(e.path); err != nil {
			return err
		}
	}
	return nil
}

// entries lists the compiled code under dir: "wazero-<version>-<arch>-<os>/<key>".
func entries(dir string) ([]entry, error) {
	var all []entry
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, sealSuffix) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a temporary file that was renamed meanwhile
		}
		if err == nil {
			all = append(all, entry{path, info.Size(), info.ModTime()})
		}
		return err
	})
	return all, err
}

// sealed tells whether the entry at path is what was written.
func sealed(path string) (bool, error) {
	want, err := os.ReadFile(path + sealSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	got, err := sumOf(path)
	return got == strings.TrimSpace(string(want)), err
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// seal writes the seal of each entry that has none. A seal torn by a power cut
// does not match, which only costs one compilation.
func seal(dir string) error {
	all, err := entries(dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		if _, err := os.Stat(e.path + sealSuffix); err == nil || strings.HasSuffix(e.path, ".tmp") {
			continue
		}
		sum, err := sumOf(e.path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(e.path+sealSuffix, []byte(sum+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// drop removes an entry and its seal.
func drop(path string) error {
	for _, p := range []string{path, path + sealSuffix} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// purge removes all entries but keeps the folders, which wazero expects.
func purge(dir string) error {
	all, err := entries(dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := drop(e.path); err != nil {
			return err
		}
	}
	return nil
}
