package sensors

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnreadableFilesAreCountedOnce: they are tried at each look, and counted
// again only when somebody has touched them.
func TestUnreadableFilesAreCountedOnce(t *testing.T) {
	noDir := filepath.Join(t.TempDir(), "file") // what is below it cannot be read, not even by root
	if err := os.WriteFile(noDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := NewFiles(FilesOptions{Name: "in", Device: "gw7", Path: noDir, Content: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	f.Follow(nil)
	w, err := f.newWatch()
	if err != nil {
		t.Fatal(err)
	}
	try := func(ctime int64) string {
		t.Helper()
		c := &change{op: FileCreate, path: "a", state: fileState{size: 1, ctime: ctime}}
		w.settled("a", sighting{state: c.state})
		if ev, err := w.event(c); ev != nil || err == nil {
			t.Fatalf("event %v, %v", ev, err)
		}
		return f.Status().Note
	}
	for range 3 {
		if note := try(1); !strings.Contains(note, "files that cannot be read: 1,") {
			t.Errorf("note %q", note)
		}
	}
	if note := try(2); !strings.Contains(note, "files that cannot be read: 2,") {
		t.Errorf("touched: note %q", note)
	}
}
