package wasm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/wasm"
)

// compiled lists the files of compiled code under dir with their times.
func compiled(t *testing.T, dir string) map[string]os.FileInfo {
	t.Helper()
	files := map[string]os.FileInfo{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".sum") {
			return err
		}
		info, err := d.Info()
		files[path] = info
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// runOnce loads and runs a module with a runtime of its own.
func runOnce(t *testing.T, dir string) {
	t.Helper()
	s := newBench(t, wasm.Options{CacheDir: dir})
	fn := s.function("trap")
	if _, err := invoke(s.load(fn), &fn, nil, ""); err != nil {
		t.Fatal(err)
	}
}

func TestCacheServesTheNextStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "code")
	runOnce(t, dir)
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("cache folder: %v, %v; want mode 0700", info.Mode(), err)
	}
	first := compiled(t, dir)
	if !wasmCompiles() {
		return // nothing is kept where wazero interprets
	}
	if len(first) != 1 {
		t.Fatalf("%d files of compiled code, want 1", len(first))
	}
	runOnce(t, dir)
	for path, now := range compiled(t, dir) {
		if before := first[path]; before == nil || !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) {
			t.Errorf("%s was compiled again", path)
		}
	}
}

func TestDamagedCacheHeals(t *testing.T) {
	for name, damage := range map[string]func(b []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"cut":             func(b []byte) []byte { return b[:len(b)/2] },
		"bit in the code": func(b []byte) []byte { b[len(b)-40] ^= 1; return b },
		"huge count":      func(b []byte) []byte { copy(b[10:], "\xff\xff\xff\xff"); return b },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			runOnce(t, dir)
			for path := range compiled(t, dir) {
				bin, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				good := string(bin)
				if err := os.WriteFile(path, damage(bin), 0o600); err != nil {
					t.Fatal(err)
				}
				runOnce(t, dir)
				if healed, err := os.ReadFile(path); err != nil || string(healed) != good {
					t.Errorf("not compiled again: %v", err)
				}
			}
		})
	}
}

func TestCacheDamagedWhileRunningHeals(t *testing.T) {
	dir := t.TempDir()
	runOnce(t, dir)
	s := newBench(t, wasm.Options{CacheDir: dir})
	s.load(s.function("verdict")) // opens the cache, so that its files are checked
	for path := range compiled(t, dir) {
		if err := os.Truncate(path, 9); err != nil {
			t.Fatal(err)
		}
	}
	fn := s.function("trap")
	if _, err := invoke(s.load(fn), &fn, nil, ""); err != nil {
		t.Errorf("with a damaged cache: %v", err)
	}
	runOnce(t, dir)
}

func TestUnusableCacheStopsNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	runOnce(t, filepath.Join(file, "code"))
}
