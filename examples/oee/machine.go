package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// Activity is what a machine does, for the purposes of OEE.
type activity int64

const hour = 3_600_000 // milliseconds

const (
	unknown activity = iota // not told yet: that time is not counted
	running
	stopped // by a fault, for want of material, while it is set up
	planned // a break, maintenance, no order: nobody expects parts
	activities
)

// activityOf reads the words that controllers have for it.
func activityOf(word string) (activity, bool) {
	switch strings.ToLower(word) {
	case "run", "running", "producing":
		return running, true
	case "stop", "stopped", "idle", "fault", "down", "setup":
		return stopped, true
	case "planned", "pause", "break", "maintenance", "off":
		return planned, true
	}
	return unknown, false
}

// Machine is what is known of one machine in the shift that runs. Times are
// milliseconds since 1970.
type machine struct {
	now     activity
	until   int64             // so far its time is counted
	spent   [activities]int64 // milliseconds of this shift
	told    int64             // when its counters were read last
	parts   int64             // what its counters said then, -1: nothing yet
	rejects int64
	made    int64 // in this shift, the bad ones too
	bad     int64
}

func newMachine(at int64) *machine { return &machine{until: at, parts: -1, rejects: -1} }

// pass counts the time up to at; one that was counted already changes nothing.
func (m *machine) pass(at int64) {
	if at > m.until {
		m.spent[m.now] += at - m.until
		m.until = at
	}
}

// enter notes what the machine does from at on. What comes late, about a time that is
// counted already, is left out.
func (m *machine) enter(a activity, at int64) {
	if at < m.until {
		return
	}
	m.pass(at)
	m.now = a
}

// count takes the machine's own counters in, which never go back but to begin again
// at 0. So a message that is lost or comes twice costs no part; one that comes late is
// left out.
func (m *machine) count(parts, rejects, at int64) {
	if at < m.told {
		return
	}
	m.told = at
	m.made += since(&m.parts, parts)
	if rejects >= 0 { // not every message tells them
		m.bad += since(&m.rejects, rejects)
	}
}

// since is by how much a counter has risen, and remembers it.
func since(last *int64, now int64) int64 {
	was := *last
	*last = now
	switch {
	case was < 0: // the first that is heard of it
		return 0
	case now < was: // it began again
		return now
	}
	return now - was
}

// next begins a shift: what the machine does and what its counters say stays. What was
// noted with a clock that was far ahead does not stop the time for ever.
func (m *machine) next(at int64) {
	m.spent, m.made, m.bad = [activities]int64{}, 0, 0
	if m.until > at+hour || m.told > at+hour {
		m.until, m.told = at, at
	}
}

// Figures are shares, 1 is all. NaN says that there is nothing to tell.
type figures struct{ availability, performance, quality, oee float64 }

// figures is what the shift comes to, with the milliseconds that a part takes at best.
//
//	availability = time running / time it was meant to run
//	performance  = parts x best time of a part / time running
//	quality      = good parts / parts
//	OEE          = the three multiplied = good parts x best time of a part / time meant
//
// Performance above 1 says that the best time is set too high: it is not hidden.
func (m *machine) figures(best float64) figures {
	meant := float64(m.spent[running] + m.spent[stopped])
	ran, made, good := float64(m.spent[running]), float64(m.made), float64(max(m.made-m.bad, 0))
	return figures{
		availability: share(ran, meant),
		performance:  share(made*best, ran),
		quality:      share(good, made),
		oee:          share(good*best, meant),
	}
}

func share(part, whole float64) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return part / whole
}

// numbers are all that is kept of a machine, in this order.
func (m *machine) numbers() []*int64 {
	all := []*int64{(*int64)(&m.now), &m.until, &m.told, &m.parts, &m.rejects, &m.made, &m.bad}
	for i := range m.spent {
		all = append(all, &m.spent[i])
	}
	return all
}

// text is the machine as it is kept: numbers with spaces between them.
func (m *machine) text() []byte {
	var out []byte
	for _, n := range m.numbers() {
		out = append(strconv.AppendInt(out, *n, 10), ' ')
	}
	return out[:len(out)-1]
}

// parseMachine reads what text wrote.
func parseMachine(text []byte) (*machine, error) {
	m := &machine{}
	words, numbers := strings.Fields(string(text)), m.numbers()
	if len(words) != len(numbers) {
		return nil, errors.New("what is kept of the machine has another shape: give the app another stateVersion")
	}
	for i, n := range numbers {
		var err error
		if *n, err = strconv.ParseInt(words[i], 10, 64); err != nil {
			return nil, err
		}
	}
	if m.now < unknown || m.now >= activities {
		return nil, errors.New("what is kept of the machine has another shape: give the app another stateVersion")
	}
	return m, nil
}
