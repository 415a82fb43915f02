package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
)

// file is a segment as the journal sees it; Sync makes its data durable.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
}

// fileSystem makes and opens segments. Tests put a failing one in its place.
type fileSystem interface {
	Create(path string, size int64) (file, error) // preallocated, its name durable
	Open(path string) (file, error)               // for reading
}

// disk is the real file system.
type disk struct{}

type diskFile struct{ *os.File }

// Sync flushes data and the size, not the times: fdatasync.
func (f diskFile) Sync() error { return unix.Fdatasync(int(f.Fd())) }

func (disk) Create(path string, size int64) (file, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := reserveSpace(f, size); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return diskFile{f}, nil
}

func (disk) Open(path string) (file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// reserveSpace gives f its full size on disk, so that writing into it cannot
// meet a full disk. File systems without fallocate only set the size.
func reserveSpace(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return f.Truncate(size)
	}
	if err != nil {
		return fmt.Errorf("preallocate %s: %w", f.Name(), err)
	}
	return nil
}

// syncDir makes names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeDurably replaces the file at path as a whole, surviving a power cut.
func writeDurably(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// freeBytes is what an unprivileged writer may still use below dir.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

const exfatMagic = 0x2011bab0

// checkFileSystem refuses file systems that cannot keep the promises.
func checkFileSystem(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("file system of %s: %w", dir, err)
	}
	switch uint32(st.Type) {
	case unix.MSDOS_SUPER_MAGIC, exfatMagic:
		return fmt.Errorf("%s is on a FAT file system, which loses files on a power cut; put the data directory on ext4, xfs, btrfs or f2fs", dir)
	}
	return nil
}

// lockDir holds dir until the returned file is closed.
func lockDir(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("data directory %s is in use by another skerry; stop that one or give this one its own directory", dir)
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// asFull makes a full disk an ErrFull, whatever the layer that met it.
func asFull(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", agent.ErrFull, err)
	}
	return err
}
