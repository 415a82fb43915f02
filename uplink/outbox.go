package uplink

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Queue is the queue of records an Outbox empties. Next waits until there are
// records behind the sequence after, and returns at most max of them, oldest
// first; a record that a committed frame named in Done is not returned again.
type Queue interface {
	Next(ctx context.Context, after uint64, max int) ([]agent.Record, error)
	Len() int
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
	Name       string        // of the target, for status and logs
	Kind       string        // of the target, for status
	InFlight   int           // sends under way at once; 0 means 4, for a Batch 1
	Batch      int           // records per send of a Batch; 0 means 64
	MaxBackoff time.Duration // longest pause of a failing target; 0 means 5 min
	MaxHeld    int           // bytes of records in memory; 0 means 4 MiB
	Log        *slog.Logger  // nil means slog.Default
}

// Outbox empties one queue into one target.
type Outbox struct {
	queue  Queue
	commit Committer
	send   func(ctx context.Context, recs []agent.Record) []error
	bytes  func() int64
	opts   Options

	mu     sync.Mutex
	counts counts
	note   note
}

// counts are an Outbox's totals since start.
type counts struct {
	Delivered int64 // the far side has them, FnErrors included
	FnErrors  int64 // delivered, and the far side's function failed
	Dead      int64 // in the dead-letter box
	Expired   int64 // dropped because their time had passed
	Retries   int64 // attempts that are to be repeated
}

// note is what a person should know now.
type note struct {
	retryAt   time.Time
	sendErr   string
	commitErr string
}

// NewOutbox returns an outbox that sends records one by one, up to
// opts.InFlight at once. Records of one Key keep their order; records without
// a Key have none.
func NewOutbox(q Queue, c Committer, to Target, opts Options) *Outbox {
	opts.InFlight = cmp.Or(opts.InFlight, 4)
	opts.Batch = 1
	send := func(ctx context.Context, recs []agent.Record) []error {
		return []error{to.Send(ctx, recs[0])}
	}
	return newOutbox(q, c, send, to, opts)
}

// NewBatchOutbox returns an outbox that sends up to opts.Batch records at a time.
func NewBatchOutbox(q Queue, c Committer, to Batch, opts Options) *Outbox {
	opts.InFlight = cmp.Or(opts.InFlight, 1)
	opts.Batch = cmp.Or(opts.Batch, 64)
	return newOutbox(q, c, to.Send, to, opts)
}

func newOutbox(q Queue, c Committer, send func(context.Context, []agent.Record) []error, to any, opts Options) *Outbox {
	opts.MaxBackoff = cmp.Or(opts.MaxBackoff, 5*time.Minute)
	opts.MaxHeld = cmp.Or(opts.MaxHeld, 4<<20)
	opts.Log = cmp.Or(opts.Log, slog.Default()).With("target", opts.Name)
	o := &Outbox{queue: q, commit: c, send: send, opts: opts}
	o.bytes = func() int64 { return 0 }
	if w, ok := to.(interface{ BytesUp() int64 }); ok {
		o.bytes = w.BytesUp
	}
	return o
}

// Run sends until ctx ends, and returns nil then. What was under way is cut
// off and sent again by the next Run; what was delivered is committed first.
func (o *Outbox) Run(ctx context.Context) error {
	p := newPump(o)
	p.loop(ctx)
	p.finish(ctx)
	return nil
}

// Status is what `skerry status` shows of this outbox. LastError is empty when
// the target works.
func (o *Outbox) Status() agent.TargetStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	return agent.TargetStatus{
		Name:      o.opts.Name,
		Kind:      o.opts.Kind,
		Waiting:   o.queue.Len(),
		Delivered: o.counts.Delivered,
		FnErrors:  o.counts.FnErrors,
		Expired:   o.counts.Expired,
		Dead:      o.counts.Dead,
		Retries:   o.counts.Retries,
		BytesUp:   o.bytes(),
		RetryAt:   o.note.retryAt,
		LastError: cmp.Or(o.note.commitErr, o.note.sendErr),
	}
}

func (o *Outbox) update(f func(*counts, *note)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f(&o.counts, &o.note)
}
