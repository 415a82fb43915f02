package store

import (
	"io"
	"os"
	"path/filepath"

	"github.com/skerry-edge/skerry/agent"
)

// damage counts n frames, records or values that were lost, and says so.
func (s *Store) damage(n int64, what string, attrs ...any) {
	s.gaps.Add(n)
	s.log.Error(what, append(attrs, "lost", n)...)
}

const maxAside = 8 // damaged segments that are kept

// keepAside copies a damaged segment into damaged/, once, so that a person can
// look at it after its segment has been given back.
func (s *Store) keepAside(path string) {
	dir := filepath.Join(s.dir, "damaged")
	to := filepath.Join(dir, filepath.Base(path))
	if _, err := os.Stat(to); err == nil {
		return
	}
	kept, err := os.ReadDir(dir)
	if err == nil && len(kept) >= maxAside {
		s.log.Warn("no copy of a damaged segment is kept, there are enough", "file", path, "kept", len(kept))
		return
	}
	if free, err := freeBytes(s.dir); err != nil || free < s.opts.Reserve {
		s.log.Warn("no copy of a damaged segment is kept, the disk is nearly full", "file", path)
		return
	}
	if err := copyFile(path, to); err != nil {
		s.log.Warn("no copy of a damaged segment is kept", "file", path, "error", err)
	}
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	b, err := io.ReadAll(src)
	if err != nil {
		return err
	}
	return writeDurably(to, b)
}

// Status tells what is on disk and why commits fail, if they do.
func (s *Store) Status() agent.StoreStatus {
	s.mu.RLock()
	defer s.mu.RUnlock()
	st := agent.StoreStatus{
		JournalBytes: s.journalBytes(),
		QuotaBytes:   s.opts.Quota,
		Records:      s.ix.records,
		Gaps:         s.gaps.Load(),
		Syncs:        s.syncs.Load(),
	}
	if q := s.ix.byName[agent.QueueDead]; q != nil {
		st.Dead = q.live
	}
	switch {
	case s.failing != nil:
		st.Error = s.failing.Error()
	case s.notApplied != nil:
		st.Error = s.notApplied.Error()
	}
	return st
}
