package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/cases"
)

const updatedTests = "apiVersion: skerry/v1\nkind: Test\ntests:\n  - name: x\n    expect:\n      - {publish: {topic: a}}\n"

// updateOf is what skerry test --update does with a file that was read as updatedTests,
// and whose test leads to nothing.
func updateOf(t *testing.T, path string) error {
	t.Helper()
	f, err := cases.Parse(path, []byte(updatedTests))
	if err != nil {
		t.Fatal(err)
	}
	r, o := &cases.Report{}, &cases.Outcome{}
	r.Add(f.Tests[0], o)
	return update(f, r, map[*cases.Test]*cases.Outcome{f.Tests[0]: o})
}

// TestUpdateKeepsWhatWasSavedMeanwhile: tests may take a while, and their author goes on.
func TestUpdateKeepsWhatWasSavedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a_test.yaml")
	const saved = updatedTests + "  - name: y\n"
	if err := os.WriteFile(path, []byte(saved), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := updateOf(t, path); err == nil || !strings.Contains(err.Error(), "was saved while its tests ran: run skerry test --update again") {
		t.Error(err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != saved {
		t.Errorf("%v\n%s", err, text)
	}
}

// TestUpdateWritesTheFileAsAWhole, through a link, with the permissions it has.
func TestUpdateWritesTheFileAsAWhole(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "a_test.yaml"), filepath.Join(dir, "link_test.yaml")
	if err := os.WriteFile(path, []byte(updatedTests), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a_test.yaml", link); err != nil {
		t.Fatal(err)
	}
	was, err := os.Open(path) // who reads it meanwhile
	if err != nil {
		t.Fatal(err)
	}
	defer was.Close()
	if err := updateOf(t, link); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v %v", info, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v %v", info, err)
	}
	if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), "expect: []") {
		t.Errorf("%v\n%s", err, text)
	}
	old := make([]byte, 1000)
	if n, err := was.Read(old); err != nil || string(old[:n]) != updatedTests {
		t.Errorf("who reads it has %q, %v", old[:n], err)
	}
}
