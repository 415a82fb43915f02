package logbook

import (
	"context"
	"log/slog"
	"time"
)

const (
	maxRuns     = 4096      // runs that are known at a time
	maxDistinct = 1000      // of one function: more different lines than that in a window are left out, but for the last
	maxWaiting  = 256 << 10 // bytes of lines that wait for the end of their window
)

// run is one line that keeps coming.
type run struct {
	key      uint64
	function string
	others   bool      // it stands for all lines of the function that found no room
	since    time.Time // the first was shown, or the last count
	count    int       // lines since
	last     mention   // of them
	size     int       // of last, bytes
}

// shown is a line that goes out.
type shown struct {
	mention
	repeated, leftOut int
	within            time.Duration
}

// fold knows which lines came within the last Window. Its runs end in the order
// in which they stand.
type fold struct {
	runs     map[uint64]*run
	order    []*run         // by since
	distinct map[string]int // runs by function
	waiting  int            // bytes of the last lines that wait
}

func newFold() fold { return fold{runs: map[uint64]*run{}, distinct: map[string]int{}} }

// add takes a line in, and gives what is to be shown now.
func (f *fold) add(m mention) []shown {
	m.read()
	now := m.rec.Time
	if now.IsZero() {
		now = time.Now()
	}
	out := f.due(now)
	key, others := m.key(), false
	function := m.of()
	r := f.runs[key]
	if r == nil && (len(f.order) >= maxRuns || f.distinct[function] >= maxDistinct) {
		key, others = m.overflow(function), true
		r = f.runs[key]
	}
	if r == nil {
		r = &run{key: key, function: function, others: others, since: now}
		f.runs[key] = r
		f.order = append(f.order, r)
		f.distinct[function]++
		return append(out, shown{mention: m})
	}
	r.count++
	m.rec = m.rec.Clone()
	r.last = m
	f.waiting -= r.size
	r.size = m.size()
	f.waiting += r.size
	for f.waiting > maxWaiting {
		out = append(out, f.end(now)...)
	}
	return out
}

// due ends the windows that are over.
func (f *fold) due(now time.Time) []shown {
	var out []shown
	for len(f.order) > 0 && now.Sub(f.order[0].since) >= Window {
		out = append(out, f.end(now)...)
	}
	return out
}

// all ends every window.
func (f *fold) all() []shown {
	var out []shown
	for range len(f.order) {
		out = append(out, f.end(f.order[0].since.Add(Window))...)
	}
	return out
}

// nextDue is when the next window ends, zero for never.
func (f *fold) nextDue() time.Time {
	if len(f.order) == 0 {
		return time.Time{}
	}
	return f.order[0].since.Add(Window)
}

// end ends the oldest window. A run that goes on gets another one, so that a line
// that never stops is shown once in a Window.
func (f *fold) end(now time.Time) []shown {
	r := f.order[0]
	f.order[0] = nil
	f.order = f.order[1:]
	if r.count == 0 {
		delete(f.runs, r.key)
		if f.distinct[r.function]--; f.distinct[r.function] == 0 {
			delete(f.distinct, r.function)
		}
		return nil
	}
	s := shown{mention: r.last}
	if r.count > 1 || r.others {
		s.within = r.last.rec.Time.Sub(r.since)
		if s.repeated = r.count; r.others {
			s.repeated, s.leftOut = 0, r.count
		}
	}
	f.waiting -= r.size
	r.since, r.count, r.last, r.size = now, 0, mention{}, 0
	f.order = append(f.order, r)
	return []shown{s}
}

// overflow is the key of the run for all lines of a function that find no room.
func (m *mention) overflow(function string) uint64 {
	return (&mention{rec: slog.Record{Message: "more lines"}, attrs: Attrs{{"function", function}}}).key()
}

func (m *mention) size() int {
	l := Line{Text: m.rec.Message, Attrs: m.attrs}
	return 2 * l.size() // the record holds them too
}

// pass gives the line to the process's own log.
func (s *shown) pass() {
	ctx := context.Background()
	if !s.by.next.Enabled(ctx, s.rec.Level) {
		return
	}
	rec := s.rec
	if n := s.repeated + s.leftOut; n > 0 {
		rec = rec.Clone()
		name := "repeated"
		if s.leftOut > 0 {
			name = "more_lines"
		}
		rec.AddAttrs(slog.Int(name, n), slog.Duration("within", s.within.Round(time.Millisecond)))
	}
	_ = s.by.next.Handle(ctx, rec) // a log that cannot be written has nobody to tell
}

func (s *shown) line() Line {
	l := s.mention.line()
	l.Repeated, l.LeftOut, l.Within = s.repeated, s.leftOut, s.within
	return l
}
