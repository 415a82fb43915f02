package uplink

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A file that could not be read for a moment, or before somebody gave the right
// to, has not changed when it can be: it is read all the same.
func TestFreshReadsAgainAfterAFailure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	var denied error
	f, err := newFresh(func() (string, error) {
		if denied != nil {
			return "", denied
		}
		return firstLine(file)
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	put("newer")
	denied = errors.New("permission denied")
	if got := f.get(); got != "old" || f.note() == "" {
		t.Errorf("%q, note %q", got, f.note())
	}
	denied = nil
	if got := f.get(); got != "newer" || f.note() != "" {
		t.Errorf("%q, note %q", got, f.note())
	}
}
