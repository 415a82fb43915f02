package store

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
