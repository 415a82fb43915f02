package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
)

// Badger writes through memory maps of sparse files: where the disk is full, a
// write to them kills the process. Three things keep that from happening: it
// is written to only while enough is free, the files that are written at each
// checkpoint are backed with blocks first, and a ballast file is given up for
// what Badger must write when it opens or closes.
const (
	ballastName  = "ballast"
	ballastBytes = 3 * memTable
	openBytes    = 512 << 10          // that Badger writes when it opens
	flushBytes   = memTable + 256<<10 // that it writes for each log it finds
)

// keepBallast makes the ballast when there is room for it.
func (s *Store) keepBallast() {
	path := filepath.Join(s.dir, ballastName)
	if _, err := os.Stat(path); err == nil || s.spare(s.opts.Reserve+ballastBytes) != nil {
		return
	}
	f, err := s.opts.files.Create(path, ballastBytes)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.log.Warn("the ballast for a full disk cannot be kept", "error", err)
	}
}

// claimSpace sees to n free bytes, giving up the ballast if need be.
func (s *Store) claimSpace(n int64) error {
	err := s.spare(n)
	if !errors.Is(err, agent.ErrFull) {
		return err
	}
	path := filepath.Join(s.dir, ballastName)
	if _, gone := os.Stat(path); gone != nil {
		return err
	}
	s.log.Warn("the disk is full, the ballast is given up", "file", path)
	if err := s.opts.files.Remove(path); err != nil {
		return fmt.Errorf("give up the ballast: %w", err)
	}
	return s.spare(n)
}

// openSpace is what Badger may need to open.
func (s *Store) openSpace() (int64, error) {
	logs, err := filepath.Glob(filepath.Join(s.dir, "badger", "*.mem"))
	return openBytes + int64(len(logs))*flushBytes, err
}

// backLogs gives Badger's logs all their blocks, so that writing to them
// cannot meet a full disk.
func (s *Store) backLogs() error {
	logs, err := filepath.Glob(filepath.Join(s.dir, "badger", "*.mem"))
	if err != nil {
		return err
	}
	for _, path := range logs {
		if err := backFile(path); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EOPNOTSUPP) {
			return fmt.Errorf("back %s: %w", path, err)
		}
	}
	return nil
}

func backFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close() // nothing is written through it
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, info.Size())
}
