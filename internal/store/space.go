package store

import "fmt"

// Space is how full the journal is, in bytes.
type Space struct {
	Quota int64
	Room  int64 // that frames which add records may still take
	Live  int64 // of records that wait, about
	Most  int64 // while Live is below, room comes back by itself: records are moved together
}

// Space tells how full the journal is. It costs next to nothing.
func (s *Store) Space() Space {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := Space{Quota: s.opts.Quota, Most: max(s.opts.Quota/2, s.opts.Quota-4*s.opts.SegmentSize)}
	sp.Room = max(s.room()-s.unsynced, 0)
	if free := s.opts.Quota - s.journalBytes(); free > 0 {
		sp.Room += free / s.opts.SegmentSize * s.opts.SegmentSize
	}
	for _, q := range s.ix.queues {
		sp.Live += q.bytes
	}
	return sp
}

// Full tells when a frame was refused because the quota is used up.
func (s *Store) Full() <-chan struct{} { return s.full }

// blobFloor is what blobs leave free on the disk: a segment more than commits do.
func (s *Store) blobFloor() int64 { return s.opts.Reserve + s.opts.SegmentSize }

// Room tells how many bytes blobs may still take. They leave the journal what it may
// grow by, or half of what is free if the disk is too small for its quota. If that is
// less than want, what was deleted is given back first: it lies in the database until
// the tables around it are written anew, which may be never.
func (s *Store) Room(want int64) (int64, error) {
	room, err := s.blobRoom()
	if err != nil || room >= want {
		return room, err
	}
	if err := s.compact(); err != nil {
		return 0, fmt.Errorf("give back what was deleted: %w", err)
	}
	return s.blobRoom()
}

func (s *Store) blobRoom() (int64, error) {
	free, err := s.opts.files.Free(s.dir)
	if err != nil {
		return 0, fmt.Errorf("ask for the free space: %w", err)
	}
	s.mu.RLock()
	grow := max(s.opts.Quota-s.journalBytes(), 0)
	s.mu.RUnlock()
	room := max(free-s.blobFloor(), 0)
	return room - min(grow, room/2), nil
}

// compact writes the tables of the database anew without what was deleted, if there
// is room for both. It does nothing if that was done and little was written since.
func (s *Store) compact() error {
	var live int64
	if err := s.eachKey(nil, func(key []byte, value int64) { live += int64(len(key)) + value }); err != nil {
		return err
	}
	s.files.RLock()
	defer s.files.RUnlock()
	if s.isClosed() {
		return errClosed
	}
	if s.spare(live+baseTable) != nil {
		return nil
	}
	return s.db.Flatten(1)
}
