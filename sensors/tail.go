package sensors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// TailOptions say which file to follow. Name, Device and Path are needed.
type TailOptions struct {
	Name    string // the source's name: triggers name it in Via; Subject of its events
	Device  string
	Path    string
	FromEnd bool          // the first time, begin at the end of what is there
	MaxLine int           // bytes; longer lines are left out; 0 means 64 KiB
	Poll    time.Duration // how often to look for more; 0 means 250 ms
	Notes   Notes         // nil: after a restart it begins anew
	Log     *slog.Logger
}

const (
	typeTail    = "io.skerry.tail"
	defaultTail = 250 * time.Millisecond
)

// Tail is the source of the lines that somebody writes to a file, as long as
// there are triggers for it. It goes on where it was after a restart, and across
// rotation: by renaming, and by truncating.
type Tail struct {
	opts   TailOptions
	source string // URI of its events
	log    *slog.Logger
	*interest

	mu   sync.Mutex
	pos  *position // nil while it does not run
	up   bool      // the file is there
	last error     // why it is not, or why it cannot be read
	long int64     // lines left out
	lost int64     // times that lines of a file that is gone were lost
}

var _ agent.Source = (*Tail)(nil)

var errNoTriggers = errors.New("not read: no trigger uses it")

// NewTail checks the options. The file may come later.
func NewTail(opts TailOptions) (*Tail, error) {
	if err := checkName(opts.Name); err != nil {
		return nil, err
	}
	if opts.Path == "" {
		return nil, fmt.Errorf("source %s: path names the file to follow", opts.Name)
	}
	opts.MaxLine = cmp.Or(opts.MaxLine, defaultLine)
	opts.Poll = cmp.Or(opts.Poll, defaultTail)
	return &Tail{
		opts: opts, source: "/" + opts.Device + "/tail/" + opts.Name, interest: newInterest(opts.Name),
		log: cmp.Or(opts.Log, slog.Default()).With("source", opts.Name), last: errNoTriggers,
	}, nil
}

// Run implements agent.Source.
func (t *Tail) Run(ctx context.Context, offer agent.Offer) error {
	if !t.await(ctx.Done()) {
		return nil
	}
	pos, err := openPosition(t.opts.Name, t.opts.Notes, offer)
	if err != nil {
		return fmt.Errorf("source %s: %w", t.opts.Name, err)
	}
	t.set(func() { t.pos = pos })
	err = t.follow(ctx, pos)
	if closing := pos.close(); closing != nil {
		t.log.Warn("the position is not noted; some lines come again", "error", closing)
	}
	t.set(func() { t.pos, t.up = nil, false })
	return err
}

// follow reads one file after the other until ctx ends.
func (t *Tail) follow(ctx context.Context, pos *position) error {
	at, err := t.begin(pos)
	for err == nil && t.await(ctx.Done()) {
		var f *tailed
		if f, err = t.open(at); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			t.set(func() { t.up, t.last = false, err })
			err = t.sleep(ctx)
			continue
		}
		t.set(func() { t.up, t.last = true, nil })
		err = t.read(ctx, pos, f)
		at = f.next
		f.close()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// begin is where to go on. The first time it is noted before anything is read.
func (t *Tail) begin(pos *position) (tailMark, error) {
	if text := pos.mark(); text != "" {
		at, err := parseTailMark(text)
		if err == nil {
			return at, nil
		}
		t.log.Warn("where the file was read to is not known, so that it begins anew", "error", err)
	}
	var at tailMark
	if t.opts.FromEnd {
		at = endOf(t.opts.Path)
	}
	if err := pos.start(at.String()); err != nil {
		return at, fmt.Errorf("source %s: %w", t.opts.Name, err)
	}
	return at, nil
}

// open finds the file that at speaks of. If it is not to be found any more, its
// successor is read from the start.
func (t *Tail) open(at tailMark) (*tailed, error) {
	f, err := openTailed(t.opts.Path, at, t.opts.MaxLine)
	if err != nil {
		return nil, err
	}
	f.lines.long = func() { t.set(func() { t.long++ }) }
	if f.lost {
		t.set(func() { t.lost++ })
		t.log.Warn("the file that was read is gone; what was not read of it is lost", "path", t.opts.Path)
	}
	return f, nil
}

// read offers the lines of f until there is another file to read.
func (t *Tail) read(ctx context.Context, pos *position, f *tailed) error {
	for {
		line, err := f.line()
		switch {
		case line != nil:
			if err := pos.wait(ctx, t.event(line), f.mark.String()); err != nil {
				return err
			}
		case errors.Is(err, errNextFile):
			return nil
		case errors.Is(err, io.EOF):
			t.set(func() { t.last = nil })
		default:
			t.set(func() { t.last = fmt.Errorf("read %s: %w", t.opts.Path, err) })
		}
		if line == nil {
			if err := t.sleep(ctx); err != nil {
				return err
			}
		}
		if !t.await(ctx.Done()) {
			return ctx.Err()
		}
	}
}

func (t *Tail) event(line []byte) *agent.Event {
	return &agent.Event{
		Source: t.source, Type: typeTail, Subject: t.opts.Name, Time: time.Now(),
		ContentType: lineType(line), Data: line, Via: t.opts.Name, QoS: 1,
	}
}

func (t *Tail) sleep(ctx context.Context) error {
	timer := time.NewTimer(t.opts.Poll)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *Tail) set(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f()
}

// Status tells how the source is.
func (t *Tail) Status() agent.SourceStatus {
	filters, faults := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	st := agent.SourceStatus{Name: t.opts.Name, Kind: "tail", Connected: t.up, Filters: filters}
	notes := append([]string{}, faults...)
	last := t.last
	if len(filters) == 0 {
		last = errNoTriggers
	}
	if t.pos != nil {
		st.Inflight = t.pos.waiting()
		if err := t.pos.err(); err != nil {
			notes = append(notes, err.Error())
		}
	}
	if t.long > 0 {
		notes = append(notes, fmt.Sprintf("%d lines over %d bytes left out", t.long, t.opts.MaxLine))
	}
	if t.lost > 0 {
		notes = append(notes, fmt.Sprintf("%d times the file was gone before all of it was read", t.lost))
	}
	st.Note = joinNotes(last, notes...)
	return st
}

// endOf is the mark of the end of the file at path: of its last line end, so that
// what begins there is a whole line. If there is no file yet, all of it is new.
func endOf(path string) tailMark {
	f, err := openRegular(path)
	if err != nil {
		return tailMark{}
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return tailMark{}
	}
	from := max(0, size-readSize)
	b := make([]byte, size-from)
	n, err := f.ReadAt(b, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return tailMark{}
	}
	for n > 0 && b[n-1] != '\n' {
		n--
	}
	if n == 0 && from > 0 {
		n = len(b) // in the midst of a very long line
	}
	at, err := markAt(f, from+int64(n))
	if err != nil {
		return tailMark{}
	}
	return at
}
