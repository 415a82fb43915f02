package codecache

import (
	"os"
	"syscall"
	"testing"
)

// WithoutHardLinks stands for a file system such as FAT, until the test ends.
func WithoutHardLinks(t testing.TB) {
	t.Cleanup(func() { hardLink = os.Link })
	hardLink = func(from, to string) error {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM}
	}
}
