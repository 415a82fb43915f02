package store

import (
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// damage counts n frames, records or values that were lost, and says so.
func (s *Store) damage(n int64, what string, attrs ...any) {
	s.gaps.Add(n)
	s.log.Error(what, append(attrs, "lost", n)...)
}

// damagedValue counts a value that cannot be read, once for each key.
func (s *Store) damagedValue(key []byte) {
	s.mu.Lock()
	known := s.rotten[string(key)]
	if !known && len(s.rotten) < maxRotten {
		s.rotten[string(key)] = true
	}
	s.mu.Unlock()
	if !known {
		s.damage(1, "a stored value is damaged", "key", string(key))
	}
}

const maxRotten = 10_000 // damaged keys that are remembered

const maxAside = 8 // damaged segments that are kept

// keepAside copies a damaged segment into damaged/, once, so that a person can
// look at it after its segment has been given back.
func (s *Store) keepAside(path string) {
	dir := filepath.Join(s.dir, "damaged")
	to := filepath.Join(dir, filepath.Base(path))
	kept, err := s.opts.files.List(dir)
	if slices.Contains(kept, to) {
		return
	}
	if err == nil && len(kept) >= maxAside {
		s.log.Warn("no copy of a damaged segment is kept, there are enough", "file", path, "kept", len(kept))
		return
	}
	if free, err := s.opts.files.Free(s.dir); err != nil || free < s.opts.Reserve {
		s.log.Warn("no copy of a damaged segment is kept, the disk is nearly full", "file", path)
		return
	}
	err = s.copyAside(path, to)
	if err != nil {
		s.log.Warn("no copy of a damaged segment is kept", "file", path, "error", err)
	}
}

func (s *Store) copyAside(path, to string) error {
	f, err := s.opts.files.Open(path)
	if err != nil {
		return err
	}
	b, _, err := readWhole(f)
	if err == nil {
		err = s.opts.files.Replace(to, b)
	}
	return errors.Join(err, f.Close())
}

// refusedFor is how long after a commit for which there was no room there is said
// to be none: whoever has something to commit tries again each second.
const refusedFor = 3 * time.Second

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
		st.Records -= q.live
	}
	switch {
	case s.failing != nil:
		st.Error = s.failing.Error()
	case errors.Is(s.refused, agent.ErrFull) && time.Since(s.refusedAt) < refusedFor:
		st.Error = s.refused.Error()
	case s.notApplied != nil:
		st.Error = s.notApplied.Error()
	}
	return st
}
