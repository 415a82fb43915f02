package mqtt

import (
	"runtime"
	"syscall"
	"time"
)

const (
	nap       = 200 * time.Microsecond // how long a read waits for company
	fast      = 8000                   // packets per second from which on it does
	paceEvery = 5 * time.Millisecond   // how often the rate is measured
)

// pace measures a rate and makes those who work at a high one wait a moment, so
// that more is done at a time.
type pace struct {
	since   time.Time
	count   int
	napping bool
}

// wait is called before each read, which n packets came before.
func (p *pace) wait(n int) {
	p.count += n
	now := time.Now()
	if took := now.Sub(p.since); took >= paceEvery {
		p.napping = float64(p.count) > fast*took.Seconds()
		p.since, p.count = now, 0
	}
	if p.napping {
		runtime.Gosched() // a sleeping system call holds its processor: others first
		// Not time.Sleep: Go's timers take a millisecond when nothing else runs.
		t := syscall.NsecToTimespec(int64(nap))
		syscall.Nanosleep(&t, nil)
	}
}
