package logbook

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// ShipOptions say what travels up, and when. Send is needed.
type ShipOptions struct {
	Level slog.Level                          // the least, where no rule states another
	Rules func(function string) agent.LogRule // of what is said by or about a function; nil: as Level says
	Own   []string                            // targets that Send leads to: lines about them stay here, or they would feed themselves
	Bytes int                                 // of lines in a batch; 0 means 16 KiB
	Lines int                                 // 0 means 512
	Every time.Duration                       // the oldest line of a batch waits so long at most; 0 means 30 s
	// Send takes a batch over, or fails: then it is given again later, with others.
	Send func(ctx context.Context, lines []Line) error
}

// room is how many batches may wait while Send fails; more lines are lost, and counted.
const room = 4

// Shipper makes batches of lines.
type Shipper struct {
	book *Book
	opts ShipOptions
	wake chan struct{}

	mu      sync.Mutex
	lines   []Line
	bytes   int
	lost    int
	since   time.Time      // the oldest line waits
	sampled map[string]int // lines seen by function, of those that are sampled
}

// Ship makes batches of what the ring holds and what is logged from now on; Run
// sends them.
func (b *Book) Ship(opts ShipOptions) *Shipper {
	opts.Bytes = cmp.Or(opts.Bytes, 16<<10)
	opts.Lines = cmp.Or(opts.Lines, 512)
	opts.Every = cmp.Or(opts.Every, 30*time.Second)
	s := &Shipper{book: b, opts: opts, wake: make(chan struct{}, 1), sampled: map[string]int{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.ring.lines {
		s.take(&b.ring.lines[i])
	}
	b.join(s)
	return s
}

// Run sends batches that are full or old enough until ctx ends, and then at once
// what is left, within endWithin.
func (s *Shipper) Run(ctx context.Context) error {
	timer := time.NewTimer(never)
	defer timer.Stop()
	var pause time.Time // after a failure
	for ctx.Err() == nil {
		now := time.Now()
		if wait := max(s.wait(now), pause.Sub(now)); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-s.wake:
			case <-timer.C:
			}
			continue
		}
		if s.send(ctx) != nil {
			pause = now.Add(s.opts.Every)
		}
	}
	s.book.leave(s)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	for s.waits() {
		if err := s.send(ctx); err != nil {
			return fmt.Errorf("the last log lines did not go up: %w", err)
		}
	}
	return nil
}

const endWithin = 2 * time.Second

// never is a wait that a wake ends.
const never = time.Hour

// wait is how long the batch is to wait still.
func (s *Shipper) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.lines) == 0:
		return never
	case s.full():
		return 0
	}
	return s.since.Add(s.opts.Every).Sub(now)
}

func (s *Shipper) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)+s.lost > 0
}

// full tells whether a batch is complete; the lock is held.
func (s *Shipper) full() bool { return s.bytes >= s.opts.Bytes || len(s.lines) >= s.opts.Lines }

// send sends one batch. What could not be sent stays in front of what came since.
func (s *Shipper) send(ctx context.Context) error {
	s.mu.Lock()
	n, size := 0, 0
	for n < len(s.lines) && n < s.opts.Lines && (n == 0 || size+s.lines[n].size() <= s.opts.Bytes) {
		size += s.lines[n].size()
		n++
	}
	batch, lost := append([]Line(nil), s.lines[:n]...), s.lost
	s.mu.Unlock()
	if lost > 0 {
		batch = append(batch, Line{
			Time: time.Now(), Level: slog.LevelWarn,
			Text: fmt.Sprintf("%d log lines did not go up: they came faster than they could be kept", lost),
		})
	}
	if err := s.opts.Send(ctx, batch); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.lines[:n])
	s.lines, s.bytes, s.lost = s.lines[n:], s.bytes-size, s.lost-lost
	s.since = time.Now()
	if len(s.lines) == 0 {
		s.lines = nil
	}
	return nil
}

// take keeps a line that is to go up.
func (s *Shipper) take(l *Line) {
	if target := l.Attrs.Get("target"); target != "" && slices.Contains(s.opts.Own, target) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.wants(l) {
		return
	}
	size := l.size()
	if s.bytes+size > room*s.opts.Bytes || len(s.lines) >= room*s.opts.Lines {
		s.lost++
		return
	}
	if len(s.lines) == 0 {
		s.since = time.Now()
		s.signal()
	}
	s.lines, s.bytes = append(s.lines, *l), s.bytes+size
	if s.full() {
		s.signal()
	}
}

// wants goes by the rule of the line's function; the lock is held.
func (s *Shipper) wants(l *Line) bool {
	var rule agent.LogRule
	if l.Function != "" && s.opts.Rules != nil {
		rule = s.opts.Rules(l.Function)
	}
	least := s.opts.Level
	if rule.Stated {
		least = rule.Level
	}
	if rule.Off || l.Level < least {
		return false
	}
	if rule.Sample <= 1 || l.Level > slog.LevelInfo {
		return true
	}
	s.sampled[l.Function]++
	return s.sampled[l.Function]%rule.Sample == 1
}

func (s *Shipper) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
