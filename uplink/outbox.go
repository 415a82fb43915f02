package uplink

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Queues are the queues an Outbox empties, in the order in which they go. They
// are named by their place in it.
type Queues interface {
	Names() []string
	// Page returns at most limit records of a queue behind the sequence after,
	// oldest first, without waiting; it ends with the one that makes them bytes
	// long.
	Page(at int, after uint64, limit, bytes int) ([]agent.Record, error)
	// Wait waits until a record behind after is in one of some queues, and returns
	// the sequence up to which no other will turn up. It ends with ctx.
	Wait(ctx context.Context, in []int, after uint64) (upto uint64, err error)
	Has(seq uint64) bool
	Len(at int) int
	Bytes(at int) int64
	Older(at int, seq uint64) int // how many records of the queue are before that one
}

// Committer makes deliveries durable.
type Committer interface {
	Commit(ctx context.Context, f *agent.Frame) error
}

// Target delivers a record; nil means the far side has it. Other outcomes are
// an *Error; any other error means that the record is sent again.
type Target interface {
	Send(ctx context.Context, rec agent.Record) error
}

// Batch delivers records in order; errs[i] is nil when the far side has
// recs[i]. Errors mean what they mean for a Target.
type Batch interface {
	Send(ctx context.Context, recs []agent.Record) []error
}

// Options of an Outbox; the zero value works.
type Options struct {
	Name       string                  // of the target, for status and logs
	Kind       string                  // of the target, for status
	InFlight   int                     // sends under way at once; 0 means 4, for a Batch 1
	Batch      int                     // records per send; 0 means 64 for a Batch, for a Batcher what it prefers, else 1
	BatchBytes int                     // of data in a send of several; 0 means 1 MiB
	MaxBackoff time.Duration           // longest pause of a failing target; 0 means 5 min
	MaxHeld    int                     // bytes of records in memory; 0 means 4 MiB
	Link       Link                    // that it goes over; nil: nobody counts
	Past       func(at time.Time) bool // whether a record's Expires is over; nil: by the wall clock
	State      agent.View              // knows after a restart that the target is paused; nil: it is not
	Sent       func(Delivery)          // is told what became of each record, at once and under way: it must not wait; nil: nobody
	Log        *slog.Logger            // nil means slog.Default
}

// Outbox empties the queues of one target into it.
type Outbox struct {
	queues Queues
	commit Committer
	send   func(ctx context.Context, recs []agent.Record) []error
	to     any // the target, for what else it can tell
	opts   Options

	steering sync.Mutex // held while the target is paused or resumed

	mu     sync.Mutex // held for moments: never while something is sent, read or committed
	counts counts
	note   note
	pump   *pump // of Run, nil while that does not run
}

// Delivery is the end of a record's way to its target.
type Delivery struct {
	Record     *agent.Record // read only, until the call returns
	Start, End time.Time     // of the last try
	Failed     int           // tries before that, since the start of the outbox
	Fault      string        // why the record is dead, or failed at the far side; "" if it did not
}

// counts are an Outbox's totals since start.
type counts struct {
	Delivered int64 // the far side has them, FnErrors included
	FnErrors  int64 // delivered, and the far side's function failed
	Dead      int64 // in the dead-letter box
	Retries   int64 // attempts that are to be repeated
	Drops     agent.DropCounts
}

// note is what a person should know now.
type note struct {
	paused    bool
	budget    hold // the last one that was met
	sendErr   string
	commitErr string
	readErr   string
}

// NewOutbox returns an outbox that sends records up to opts.InFlight at once,
// one by one, or several at a time to a Batcher. Records of one Key in one
// queue keep their order; records without a Key have none.
func NewOutbox(q Queues, c Committer, to Target, opts Options) *Outbox {
	opts.InFlight = cmp.Or(opts.InFlight, 4)
	send := func(ctx context.Context, recs []agent.Record) []error {
		return []error{to.Send(ctx, recs[0])}
	}
	b, several := to.(Batcher)
	if !several {
		opts.Batch = 1
	} else {
		if p, ok := to.(interface{ BatchSize() int }); ok {
			opts.Batch = cmp.Or(opts.Batch, p.BatchSize())
		}
		opts.Batch = cmp.Or(opts.Batch, 1)
		send = b.SendBatch
	}
	return newOutbox(q, c, send, to, opts)
}

// NewBatchOutbox returns an outbox that sends up to opts.Batch records at a time.
func NewBatchOutbox(q Queues, c Committer, to Batch, opts Options) *Outbox {
	opts.InFlight = cmp.Or(opts.InFlight, 1)
	opts.Batch = cmp.Or(opts.Batch, 64)
	return newOutbox(q, c, to.Send, to, opts)
}

func newOutbox(q Queues, c Committer, send func(context.Context, []agent.Record) []error, to any, opts Options) *Outbox {
	opts.BatchBytes = cmp.Or(opts.BatchBytes, 1<<20)
	opts.MaxBackoff = cmp.Or(opts.MaxBackoff, 5*time.Minute)
	opts.MaxHeld = cmp.Or(opts.MaxHeld, 4<<20)
	opts.Log = cmp.Or(opts.Log, slog.Default()).With("target", opts.Name)
	if opts.Past == nil {
		opts.Past = func(at time.Time) bool { return !at.After(time.Now()) }
	}
	o := &Outbox{queues: q, commit: c, send: send, to: to, opts: opts}
	o.note.paused = o.wasPaused()
	return o
}

// Run sends until ctx ends, and returns nil then. What was under way is cut
// off and sent again by the next Run; what was delivered is committed first.
func (o *Outbox) Run(ctx context.Context) error {
	p := newPump(o)
	o.with(func() { o.pump = p })
	p.loop(ctx)
	p.finish(ctx)
	o.with(func() { o.pump = nil })
	return nil
}

// with does something under the lock.
func (o *Outbox) with(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
}
