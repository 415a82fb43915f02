package trust_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/sync/trust"
)

func TestKeysAreNeverOverwritten(t *testing.T) {
	f := newFleet(t, false)
	file := filepath.Join(f.keys, "release.pem")
	before, err := os.ReadFile(file)
	f.must(err)
	if _, err := trust.CreateKey(f.keys, "release", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second release key: %v", err)
	}
	after, err := os.ReadFile(file)
	f.must(err)
	if string(after) != string(before) {
		t.Error("the key file changed")
	}
	if left, _ := filepath.Glob(filepath.Join(f.keys, ".new-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	for _, name := range []string{"", "../x", "Root", "a/b", ".pem"} {
		if _, err := trust.CreateKey(f.keys, name, nil); err == nil {
			t.Errorf("a key called %q was made", name)
		}
	}
}

func TestKeysMustBePrivate(t *testing.T) {
	f := newFleet(t, false)
	for path, mode := range map[string]os.FileMode{f.keys: 0o700, filepath.Join(f.keys, "root.pem"): 0o600} {
		info, err := os.Stat(path)
		f.must(err)
		if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), mode)
		}
		f.must(os.Chmod(path, mode|0o040))
		if _, err := trust.OpenKeyring(f.keys, nil); err == nil || !strings.Contains(err.Error(), "run chmod") {
			t.Errorf("%s open to the group: %v", path, err)
		}
		f.must(os.Chmod(path, mode))
	}
	f.must(os.WriteFile(filepath.Join(f.keys, "tls.pem"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), 0o600))
	if _, err := trust.OpenKeyring(f.keys, nil); err == nil || !strings.Contains(err.Error(), "CERTIFICATE") {
		t.Errorf("a certificate among the keys: %v", err)
	}
}

// TestPassphrase asks once per key, and only when it is needed.
func TestPassphrase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := trust.CreateKey(dir, "root", nil)
	must(err)
	key, err := trust.CreateKey(dir, "release", []byte("horse"))
	must(err)
	if !key.Encrypted || len(key.ID) != 64 {
		t.Errorf("%+v", key)
	}
	asked := 0
	ring, err := trust.OpenKeyring(dir, func(file string) ([]byte, error) {
		asked++
		return []byte("horse"), nil
	})
	must(err)
	repo, err := trust.New(ring, trust.NewOptions{})
	must(err)
	if asked != 0 {
		t.Error("asked before anything was signed")
	}
	must(repo.Sign(ring, start))
	if asked != 1 {
		t.Errorf("asked %d times, want once for four signatures", asked)
	}
	must(repo.Put("fleet.json", []byte("{}")))
	fails := func(answer func(string) ([]byte, error), want string) {
		t.Helper()
		ring, err := trust.OpenKeyring(dir, answer)
		must(err)
		if err := repo.Sign(ring, start); err == nil || !strings.Contains(err.Error(), want) || repo.Version() != 1 {
			t.Errorf("%v, version %d, want %q and version 1", err, repo.Version(), want)
		}
	}
	fails(nil, "nobody to ask")
	fails(func(string) ([]byte, error) { return []byte("cow"), nil }, "release.pem does not open with this passphrase")

	// A header that names another key does not sign for it.
	data, err := os.ReadFile(key.File)
	must(err)
	at := strings.Index(string(data), "Public-Key: ") + len("Public-Key: ")
	copy(data[at:], strings.Repeat("0", 64))
	must(os.WriteFile(key.File, data, 0o600))
	ring, err = trust.OpenKeyring(dir, func(string) ([]byte, error) { return []byte("horse"), nil })
	must(err)
	must(repo.Rotate(ring, trust.Signers{Keys: []string{"release"}}, trust.RoleTargets))
	if err := repo.Sign(ring, start); err == nil || !strings.Contains(err.Error(), "names another key") {
		t.Errorf("a changed header: %v", err)
	}
}
