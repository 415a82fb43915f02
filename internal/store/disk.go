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

// file is one file as the store sees it.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error // durable when it returns
	Sync() error               // makes what was written durable
}

// fileSystem is all that the journal, pins and the marker need of a disk.
// Tests put one in its place that fails, forgets and corrupts.
type fileSystem interface {
	List(dir string) ([]string, error)            // paths, sorted
	Create(path string, size int64) (file, error) // of that size, preallocated; its name is durable
	Open(path string) (file, error)               // for reading and writing
	Remove(path string) error                     // durable
	Replace(path string, b []byte) error          // as a whole, durable; makes the folder
	Free(dir string) (int64, error)               // bytes that may still be written below dir
}

// disk is the real file system.
type disk struct{}

type diskFile struct{ *os.File }

// Sync flushes data and the size, not the times: fdatasync.
func (f diskFile) Sync() error { return unix.Fdatasync(int(f.Fd())) }

func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f diskFile) Truncate(size int64) error {
	return errors.Join(f.File.Truncate(size), f.File.Sync())
}

func (disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	paths := make([]string, 0, len(entries))
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths, nil
}

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
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (disk) Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
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

// makeDir makes dir and its name durable: a power cut would take it away with
// all that is in it.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

func (disk) Replace(path string, b []byte) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
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
	return syncDir(dir)
}

// Free is what an unprivileged writer may still use below dir.
func (disk) Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// reserveFor is how much of the file system of dir stays free.
func reserveFor(dir string) int64 {
	const usual = 32 << 20
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return usual
	}
	return min(usual, int64(st.Blocks)*int64(st.Bsize)/8)
}

// readFile reads a whole file; an error wrapping os.ErrNotExist if there is none.
func readFile(fs fileSystem, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	b := make([]byte, size)
	_, err = f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) && size == 0 {
		err = nil
	}
	return b, errors.Join(err, f.Close())
}

// readWhole is readFile around what the disk cannot read.
func readWhole(f file) (b []byte, unreadable int, err error) {
	size, err := f.Size()
	if err != nil || size == 0 {
		return nil, 0, err
	}
	b = make([]byte, size)
	unreadable, err = readAround(f, b, 0)
	return b, unreadable, err
}

// page is what a disk gives up at once where it can no longer be read.
const page = 4096

// readAround fills b from off on. What the disk cannot give (EIO: a worn sector)
// is left zero and counted, so that the rest is not lost with it.
func readAround(f io.ReaderAt, b []byte, off int64) (unreadable int, err error) {
	_, err = f.ReadAt(b, off)
	if !errors.Is(err, unix.EIO) {
		return 0, err
	}
	for at := 0; at < len(b); {
		n := min(page-int((off+int64(at))%page), len(b)-at)
		switch _, err := f.ReadAt(b[at:at+n], off+int64(at)); {
		case errors.Is(err, unix.EIO):
			clear(b[at : at+n])
			unreadable += n
		case err != nil:
			return unreadable, err
		}
		at += n
	}
	return unreadable, nil
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
