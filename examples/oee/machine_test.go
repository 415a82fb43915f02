package main

import (
	"math"
	"testing"
)

const minute = 60_000

func TestFigures(t *testing.T) {
	nan := math.NaN()
	for _, tt := range []struct {
		name                   string
		run, stop, planned     int64 // minutes
		made, bad              int64
		bestSeconds            float64
		availability, perf     float64
		quality, oee, tolerate float64
	}{
		// 8 h with a break of 60 min, 47 min of faults, 19,271 parts of 1 s, 423 bad.
		{"as in the textbooks", 373, 47, 60, 19271, 423, 1, 0.8881, 0.8611, 0.9780, 0.7479, 0.0001},
		{"all goes well", 480, 0, 0, 960, 0, 30, 1, 1, 1, 1, 0},
		{"nothing was made", 100, 100, 0, 0, 0, 30, 0.5, 0, nan, 0, 0},
		{"it never ran", 0, 100, 0, 0, 0, 30, 0, nan, nan, 0, 0},
		{"a planned day off", 0, 0, 480, 0, 0, 30, nan, nan, nan, nan, 0},
		{"the best time is set too high", 1, 0, 0, 4, 0, 30, 1, 2, 1, 2, 0},
		{"more rejects than parts", 1, 0, 0, 2, 3, 30, 1, 1, 0, 0, 0},
	} {
		m := newMachine(0)
		m.spent[running], m.spent[stopped], m.spent[planned] = tt.run*minute, tt.stop*minute, tt.planned*minute
		m.made, m.bad = tt.made, tt.bad
		f := m.figures(1000 * tt.bestSeconds)
		for _, c := range []struct {
			what      string
			got, want float64
		}{
			{"availability", f.availability, tt.availability},
			{"performance", f.performance, tt.perf},
			{"quality", f.quality, tt.quality},
			{"oee", f.oee, tt.oee},
		} {
			if same := math.Abs(c.got-c.want) <= tt.tolerate || math.IsNaN(c.got) && math.IsNaN(c.want); !same {
				t.Errorf("%s: %s is %v, want %v", tt.name, c.what, c.got, c.want)
			}
		}
	}
}

func TestTime(t *testing.T) {
	m := newMachine(0)
	m.enter(running, 10*minute) // before that nothing is known
	m.enter(stopped, 40*minute)
	m.enter(running, 30*minute) // late: left out
	m.enter(stopped, 40*minute) // twice: changes nothing
	m.enter(running, 45*minute)
	m.pass(60 * minute)
	m.pass(60 * minute)
	if want := [activities]int64{10 * minute, 45 * minute, 5 * minute, 0}; m.spent != want {
		t.Errorf("spent %v, want %v", m.spent, want)
	}
	m.next(60 * minute)
	m.pass(70 * minute)
	if want := [activities]int64{0, 10 * minute, 0, 0}; m.spent != want {
		t.Errorf("in the next shift %v, want %v", m.spent, want)
	}
	m.pass(999 * minute) // a clock far ahead, that is set right in the shift behind it
	m.next(100 * minute)
	m.pass(110 * minute)
	if want := [activities]int64{0, 10 * minute, 0, 0}; m.spent != want {
		t.Errorf("after the clock was set %v, want %v", m.spent, want)
	}
}

func TestCounters(t *testing.T) {
	m := newMachine(0)
	for _, told := range []struct{ parts, rejects, at, made, bad int64 }{
		{1000, 50, 1, 0, 0},  // what was made before is nobody's
		{1010, 51, 2, 10, 1}, // 10 more
		{1010, 51, 2, 10, 1}, // twice
		{1030, 51, 4, 30, 1}, // one message was lost, no part
		{1020, 51, 3, 30, 1}, // late
		{5, 1, 5, 35, 2},     // the controller was restarted
		{6, -1, 6, 36, 2},    // without rejects
		{7, 2, 7, 37, 3},
	} {
		m.count(told.parts, told.rejects, told.at)
		if m.made != told.made || m.bad != told.bad {
			t.Errorf("after %+v: %d made, %d bad", told, m.made, m.bad)
		}
	}
}

func TestMachineIsKept(t *testing.T) {
	m := &machine{now: planned, until: 1, spent: [activities]int64{2, 3, 4, 5}, told: 6, parts: -1, rejects: 8, made: 9, bad: 10}
	back, err := parseMachine(m.text())
	if err != nil || *back != *m {
		t.Errorf("kept as %q, read as %+v, %v", m.text(), back, err)
	}
	for _, text := range []string{"", "1 2", "9 1 2 3 4 5 6 7 8 9 10", "x 1 2 3 4 5 6 7 8 9 10"} {
		if _, err := parseMachine([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
