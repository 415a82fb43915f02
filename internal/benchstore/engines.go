package main

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// engine keeps records; put returns when they are durable.
type engine interface {
	put(ctx context.Context, records ...[]byte) error
	Close() error
}

// opener is an engine under test.
type opener struct {
	name string
	open func(dir string) (engine, error)
}

var engines = []opener{
	{"skerry", func(dir string) (engine, error) { return openStore(dir, store.Options{}) }},
	{"badger, default and SyncWrites", func(dir string) (engine, error) {
		db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil))
		return &plain{db: db}, err
	}},
	{"badger, 8 MiB memtable, group commit above", func(dir string) (engine, error) {
		db, err := badger.Open(small(dir))
		return newGrouped(db), err
	}},
	{"badger, the same with a value log", func(dir string) (engine, error) {
		db, err := badger.Open(small(dir).WithValueThreshold(64).WithValueLogFileSize(16 << 20))
		return newGrouped(db), err
	}},
}

// small is what makes Badger best as a queue.
func small(dir string) badger.Options {
	return badger.DefaultOptions(dir).WithSyncWrites(true).WithLogger(nil).
		WithMemTableSize(8 << 20).WithNumMemtables(2).WithNumLevelZeroTables(2).WithNumLevelZeroTablesStall(4).
		WithBaseTableSize(2 << 20).WithBaseLevelSize(8 << 20).WithNumCompactors(2).WithValueLogFileSize(32 << 20).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		WithDetectConflicts(false).WithMetricsEnabled(false)
}

// skerry is the store of this project.
type skerry struct {
	*store.Store
	stop context.CancelFunc
	done chan error
}

func openStore(dir string, o store.Options) (engine, error) {
	o.Quota, o.Log = 16<<30, slog.New(slog.DiscardHandler)
	s, err := store.Open(dir, o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	e := &skerry{s, stop, make(chan error, 1)}
	go func() { e.done <- s.Run(ctx) }()
	return e, nil
}

func (e *skerry) put(ctx context.Context, records ...[]byte) error {
	f := agent.Frame{Add: make([]agent.Record, len(records))}
	for i, b := range records {
		f.Add[i] = agent.Record{Queue: "target/cloud", Kind: agent.KindFollowup, Event: agent.Event{Data: b}}
	}
	return e.Commit(ctx, &f)
}

func (e *skerry) Close() error {
	e.stop()
	if err := <-e.done; err != nil {
		return err
	}
	return e.Store.Close()
}

// plain is one transaction for each call.
type plain struct {
	db   *badger.DB
	next atomic.Uint64
}

func (e *plain) put(_ context.Context, records ...[]byte) error {
	return e.db.Update(func(txn *badger.Txn) error { return e.set(txn, records) })
}

func (e *plain) set(txn *badger.Txn, records [][]byte) error {
	for _, b := range records {
		if err := txn.Set(binary.BigEndian.AppendUint64(nil, e.next.Add(1)), b); err != nil {
			return err
		}
	}
	return nil
}

func (e *plain) Close() error { return e.db.Close() }

// grouped puts everything that waits into one transaction.
type grouped struct {
	plain
	calls chan call
	ended chan struct{}
}

type call struct {
	records [][]byte
	done    chan error
}

func newGrouped(db *badger.DB) *grouped {
	e := &grouped{plain: plain{db: db}, calls: make(chan call, 64), ended: make(chan struct{})}
	go e.run()
	return e
}

func (e *grouped) run() {
	defer close(e.ended)
	for first := range e.calls {
		group := []call{first}
		for more := true; more; {
			select {
			case c, ok := <-e.calls:
				if more = ok; ok {
					group = append(group, c)
				}
			default:
				more = false
			}
		}
		err := e.db.Update(func(txn *badger.Txn) error {
			for _, c := range group {
				if err := e.set(txn, c.records); err != nil {
					return err
				}
			}
			return nil
		})
		for _, c := range group {
			c.done <- err
		}
	}
}

func (e *grouped) put(_ context.Context, records ...[]byte) error {
	c := call{records, make(chan error, 1)}
	e.calls <- c
	return <-c.done
}

func (e *grouped) Close() error {
	close(e.calls)
	<-e.ended
	return e.db.Close()
}
