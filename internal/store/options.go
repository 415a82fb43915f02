package store

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Options bound the store. The zero value works.
type Options struct {
	Quota       int64         // bytes of journal segments; 0 means 256 MiB
	SegmentSize int64         // bytes preallocated per segment; 0 means 4 MiB, at most a quarter of Quota
	Overlay     int64         // bytes of values not applied yet; 0 means 8 MiB, reaching it forces a checkpoint
	Checkpoint  time.Duration // a changed overlay is applied at least this often; 0 means 60 s
	LazySync    time.Duration // latest sync of a Lazy frame that does not say Within; 0 means 100 ms
	Scrub       time.Duration // all that waits and all keys are read over at the start and this often; 0 means 24 h
	Reserve     int64         // free bytes on the file system below which adding is refused; 0 means 32 MiB, or an eighth of a small one
	// Past tells whether the time at which a value expires is over; nil means by
	// the wall clock. What it says once, it must say ever after.
	Past   func(at time.Time) bool
	NoSync bool         // only for tests that must see what is lost without syncing
	Log    *slog.Logger // nil means slog.Default

	files fileSystem // nil means the disk; tests make it fail
	db    *badger.DB // nil means one in the directory; tests give one in memory, and then nothing but files is used
}

const (
	minSegment = 64 << 10
	maxSegment = 1 << 30 // offsets within a segment are 32 bits
)

func (o Options) withDefaults() Options {
	o.Quota = max(cmp.Or(o.Quota, 256<<20), 4*minSegment)
	o.SegmentSize = cmp.Or(o.SegmentSize, 4<<20)
	o.SegmentSize = min(max(o.SegmentSize, minSegment), o.Quota/4, maxSegment) &^ 4095
	o.Overlay = cmp.Or(o.Overlay, 8<<20)
	o.Checkpoint = cmp.Or(o.Checkpoint, time.Minute)
	o.LazySync = cmp.Or(o.LazySync, 100*time.Millisecond)
	o.Scrub = cmp.Or(o.Scrub, 24*time.Hour)
	if o.Past == nil {
		o.Past = func(at time.Time) bool { return !time.Now().Before(at) }
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.files == nil {
		o.files = disk{}
	}
	return o
}
