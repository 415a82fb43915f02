package store

import (
	"fmt"
	"log/slog"
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const (
	memTable  = 2 << 20
	baseTable = 8 << 20
	// With 32 bits, a little more than a power of two: see checkWordSize.
	baseTable32 = 4<<20 + 4<<10
	openTries   = 3
	openPause   = 200 * time.Millisecond
)

// badgerOptions are for a small device. Values stay in the tree: the value log
// never shrinks, and its sync errors are swallowed. Blocks are not verified by
// Badger, which would crash or cut iterators short; every value has a checksum
// of its own instead.
func badgerOptions(dir string, log *slog.Logger) badger.Options {
	o := badger.DefaultOptions(dir).
		WithSyncWrites(true).
		WithMemTableSize(memTable).WithNumMemtables(2).
		WithBaseTableSize(baseTable).WithBaseLevelSize(8 << 20).
		WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(4).
		WithNumCompactors(2).WithNumGoroutines(1).
		WithValueLogFileSize(4 << 20).WithValueThreshold(300_000).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		WithChecksumVerificationMode(options.NoVerification).
		WithMetricsEnabled(false).WithDetectConflicts(false).
		WithLogger(badgerLog{log})
	if strconv.IntSize == 32 {
		o.BaseTableSize, o.TableSizeMultiplier, o.NumLevelZeroTablesStall = baseTable32, 1, 3
	}
	return o
}

// checkWordSize holds the rules that keep Badger from corrupting its tables where int
// has 32 bits. What builds a table must never need more than the memory it begins with:
// twice the size of a table, rounded up to a power of two. It takes up to 3.5 times what
// it builds, most for values larger than a block, such as chunks of blobs; that is a
// table and a value more at most, or what a memtable holds. The memory is used again for
// tables of other levels, so all must be of one size, and four tables of level 0 must
// never be there to be made one: that one is taken to have 4 GiB.
func checkWordSize(o badger.Options, intSize int) error {
	begins := int64(1) << bits.Len64(uint64(2*o.BaseTableSize-1))
	builds := max(o.BaseTableSize+maxValue, 2*o.MemTableSize)
	if intSize == 32 && (2*begins < 7*builds || o.TableSizeMultiplier != 1 || o.NumLevelZeroTablesStall > 3) {
		return fmt.Errorf("badger tables of %d bytes, growing by %d, with a memtable of %d and %d at level 0 would be corrupted on a 32-bit machine",
			o.BaseTableSize, o.TableSizeMultiplier, o.MemTableSize, o.NumLevelZeroTablesStall)
	}
	return nil
}

// openBadger opens the database in dir. What is damaged is moved to aside and
// the rest is opened; it never starts over while a file can be read.
func openBadger(dir, aside string, hadTables bool, log *slog.Logger) (*badger.DB, error) {
	o := badgerOptions(dir, log)
	if err := checkWordSize(o, strconv.IntSize); err != nil {
		return nil, err
	}
	if err := mendTables(dir, aside, hadTables, o); err != nil {
		return nil, err
	}
	var err error
	for try := range openTries {
		if try > 0 {
			time.Sleep(openPause) // the first try after a kill may meet a half-made file, and clears it away
		}
		var db *badger.DB
		if db, err = tryOpen(o); err == nil {
			return db, nil
		}
		log.Warn("badger did not open", "dir", dir, "try", try+1, "error", err)
	}
	for _, files := range []string{"KEYREGISTRY", "DISCARD", "*.vlog", "*.mem", "*"} {
		log.Error("a part of the database is set aside, for it does not open", "files", files, "to", aside, "error", err)
		if err := setAside(dir, files, aside); err != nil {
			return nil, err
		}
		var db *badger.DB
		if db, err = tryOpen(o); err == nil {
			return db, nil
		}
	}
	return nil, fmt.Errorf("open database %s (nothing was deleted; keep a copy of it before anything else is tried): %w", dir, err)
}

// tryOpen turns a panic over damaged files into an error.
func tryOpen(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("badger panicked: %v", r)
		}
	}()
	return badger.Open(o)
}

// badgerLog sends what Badger finds worth a warning to slog.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any) {
	l.log.Error("badger", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l badgerLog) Warningf(format string, args ...any) {
	l.log.Warn("badger", "message", strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (badgerLog) Infof(string, ...any)  {}
func (badgerLog) Debugf(string, ...any) {}
