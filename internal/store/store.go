package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Store is everything durable of one agent. All methods may be called from any
// goroutine.
type Store struct {
	dir, journalDir string
	opts            Options
	log             *slog.Logger
	lock            *os.File
	db              *badger.DB

	work     chan struct{} // something to check point or to reclaim
	lazyWork chan struct{} // lazyDue is nearer than before
	full     chan struct{} // see Full
	syncs    atomic.Int64
	gaps     atomic.Int64

	checkpointing sync.Mutex // held by the one who applies
	relieving     sync.Mutex // held by the commit that makes room for others
	maintaining   sync.Mutex // held by the one who reclaims
	writing       sync.Mutex // held during one transaction of Badger
	blobs         sync.Mutex
	busyBlobs     map[string]chan struct{} // digests being written or deleted; under blobs
	pins          sync.Mutex
	sweepFrom     []byte       // where the next sweep goes on; under checkpointing
	files         sync.RWMutex // read-held while segments and Badger must stay open
	buf           []byte       // of the leader
	nextSegment   uint64       // of the leader
	begun         bool         // of the leader: the current segment was written to since its last sync

	mu       sync.RWMutex
	opened   bool
	closed   bool
	ix       *index
	segs     []*segment // oldest first
	current  *segment   // nil: the next batch starts one
	leftover []string   // segments without a frame that could not be removed
	pending  []*entry   // in the order of the journal
	inflight []*entry   // being written by the leader
	leading  bool
	unsynced int64     // bytes in pending and inflight
	lazyDue  time.Time // a Lazy frame must be synced by then; zero: none waits
	order    uint64    // of the last commit
	nextRec  uint64    // record sequence
	usedRec  uint64    // that comes after those of durable frames
	loading  bool      // the journal is being read
	durable  uint64    // frame sequence of the last durable frame
	told     uint64    // what readers of queues were last told of

	sums                 keySums         // of the last checkpoint
	rotten               map[string]bool // keys of damaged values that were counted
	active, frozen       *overlay
	frozenSeq, frozenRec uint64 // what Badger has once frozen is applied
	applied              uint64 // frame sequence up to which Badger has everything
	generation           uint64 // counts checkpoints
	failing, notApplied  error
	refused              error     // the last commit that was not admitted
	refusedAt            time.Time // when

	freeAt  time.Time
	freeNow int64
}

// Open opens the store in dir, making it if it is not there, and reads the
// journal. Damage is skipped, counted in Status and logged; a directory that
// is in use, on FAT, written by a newer release, or whose database has lost
// its list of tables is refused. Close it in the end.
func Open(dir string, opts Options) (*Store, error) {
	s := &Store{
		dir: dir, journalDir: filepath.Join(dir, "journal"),
		opts: opts.withDefaults(),
		work: make(chan struct{}, 1), lazyWork: make(chan struct{}, 1), full: make(chan struct{}, 1),
		active: newOverlay(), rotten: map[string]bool{}, busyBlobs: map[string]chan struct{}{},
	}
	s.ix, s.log = newIndex(s), s.opts.Log
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), s.release())
	}
	return s, nil
}

func (s *Store) open() error {
	if s.opts.db == nil {
		if err := s.claim(); err != nil {
			return err
		}
	}
	if err := s.openValues(); err != nil {
		return err
	}
	if err := s.replay(); err != nil {
		return err
	}
	s.opened = true
	if s.opts.db == nil {
		s.keepBallast()
	}
	return nil
}

// claim makes the directory and keeps others out of it.
func (s *Store) claim() error {
	for _, dir := range []string{s.dir, s.journalDir} {
		if err := makeDir(dir); err != nil {
			return err
		}
	}
	if err := checkFileSystem(s.dir); err != nil {
		return err
	}
	if s.opts.Reserve == 0 {
		s.opts.Reserve = reserveFor(s.dir)
	}
	var err error
	if s.lock, err = lockDir(s.dir); err != nil {
		return err
	}
	need, err := s.openSpace()
	if err != nil {
		return err
	}
	if err := s.claimSpace(need); err != nil {
		return fmt.Errorf("%w; free some space in %s first", err, s.dir)
	}
	return nil
}

// openValues opens Badger and compares it with what it should have.
func (s *Store) openValues() error {
	m, err := readMarker(s.opts.files, s.dir)
	if errors.Is(err, errDamaged) {
		s.log.Warn("checkpoint marker cannot be read and is not used", "error", err)
	} else if err != nil {
		return err
	}
	if s.db = s.opts.db; s.db == nil {
		if s.db, err = openBadger(filepath.Join(s.dir, "badger"), filepath.Join(s.dir, "damaged"), m.tables > 0, s.log); err != nil {
			return err
		}
		if err := syncDir(s.dir); err != nil {
			return err
		}
	}
	if s.applied, s.nextRec, err = s.loadApplied(); errors.Is(err, errDamaged) {
		s.applied, s.nextRec = 0, 1 // the whole journal is applied again, which changes nothing
	} else if err != nil {
		return err
	}
	if s.applied < m.applied {
		s.log.Error("database has lost data; what the journal still holds is applied again",
			"applied", s.applied, "expected", m.applied)
	}
	s.sums = m.sums
	return s.checkSums(&m)
}

// maintainAgain is how long after a failure maintenance is tried again.
const maintainAgain = 5 * time.Second

// Run syncs Lazy frames, applies the journal to Badger, gives segments back and
// reads everything over now and then, until ctx ends; it returns nil then. Without it commits still work, but
// nothing is given back before they must.
func (s *Store) Run(ctx context.Context) error {
	var done sync.WaitGroup
	done.Go(func() { s.syncLazy(ctx) })
	done.Go(func() { s.scrub(ctx) })
	defer done.Wait()
	tick := time.NewTicker(s.opts.Checkpoint)
	defer tick.Stop()
	var again <-chan time.Time // after a failure, nil if there was none
	for {
		due := false
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			due = true
		case <-again:
			due = true
		case <-s.work:
		}
		switch err := s.maintain(ctx, due); {
		case err == nil:
			again = nil
		case ctx.Err() == nil:
			if again == nil {
				s.log.Error("store maintenance failed, will be tried again", "error", err)
			}
			again = time.After(maintainAgain)
		}
	}
}

// syncLazy syncs Lazy frames when their time has come.
func (s *Store) syncLazy(ctx context.Context) {
	for {
		s.mu.RLock()
		due := s.lazyDue
		s.mu.RUnlock()
		var come <-chan time.Time
		if !due.IsZero() {
			come = time.After(time.Until(due))
		}
		select {
		case <-ctx.Done(): // Close syncs them
			return
		case <-s.lazyWork:
			continue
		case <-come:
		}
		s.mu.Lock()
		s.lazyDue = time.Time{}
		s.mu.Unlock()
		if err := s.flush(); err != nil { // it was logged; they are kept and tried again
			s.mu.Lock()
			if s.lazyDue.IsZero() {
				s.lazyDue = time.Now().Add(s.opts.LazySync)
			}
			s.mu.Unlock()
		}
	}
}

// Close syncs and applies what is left and lets go of the directory. Commits
// and reads fail from here on. Run must have returned before.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, q := range s.ix.queues {
		q.ring()
	}
	s.mu.Unlock()
	err := errors.Join(s.flush(), s.checkpoint(context.Background()))
	s.mu.Lock()
	s.current = nil
	s.mu.Unlock()
	s.maintaining.Lock()
	defer s.maintaining.Unlock()
	return errors.Join(err, s.sealFull(), s.release())
}

// release lets go of everything that was opened.
func (s *Store) release() error {
	var errs []error
	s.files.Lock()
	defer s.files.Unlock()
	for _, seg := range s.segs {
		errs = append(errs, seg.f.Close())
	}
	if s.db != nil && s.opts.db == nil {
		errs = append(errs, s.closeDB())
	}
	if s.opened && s.opts.db == nil {
		errs = append(errs, s.markClosed())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// closeDB closes Badger if there is room for what it still has to write. If
// not, its log holds that, and the next start finds it there.
func (s *Store) closeDB() error {
	if err := s.claimSpace(flushBytes); err != nil {
		return fmt.Errorf("the database is left as it is: %w", err)
	}
	return s.db.Close()
}

// markClosed notes how many tables the closed database has.
func (s *Store) markClosed() error {
	tables, err := filepath.Glob(filepath.Join(s.dir, "badger", "*.sst"))
	if err != nil {
		return err
	}
	m := marker{applied: s.applied, tables: uint64(len(tables)), sums: s.sums}
	return m.write(s.opts.files, s.dir)
}
