//go:build linux

package wasm_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waits tells how long threads of this process were ready to run while the
// system gave the processors to others. A test subtracts that from what it
// measures: what is left is what this process did to itself.
type waits struct {
	t       *testing.T
	threads map[string]*waiting
	total   time.Duration // of all threads since the first look
	marks   []mark        // of the looks that may be asked about
	looks   int
}

type waiting struct {
	schedstat *os.File
	last      time.Duration
}

type mark struct{ at, total time.Duration }

func newWaits(t *testing.T) *waits {
	w := &waits{t: t, threads: map[string]*waiting{}}
	t.Cleanup(func() {
		for _, th := range w.threads {
			_ = th.schedstat.Close() // it was only read
		}
	})
	w.discover()
	return w
}

// discover finds threads that were started since it was called last.
func (w *waits) discover() {
	paths, err := filepath.Glob("/proc/self/task/*/schedstat")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range paths {
		if w.threads[path] != nil {
			continue
		}
		if f, err := os.Open(path); err == nil { // or the thread has ended
			th := &waiting{schedstat: f}
			th.last = th.read()
			w.threads[path] = th
		}
	}
}

// read is how long the thread has waited since it was started.
func (th *waiting) read() time.Duration {
	var buf [64]byte
	n, _ := th.schedstat.ReadAt(buf[:], 0)
	fields := strings.Fields(string(buf[:n])) // ns on a processor, ns waiting for one, turns
	if len(fields) != 3 {
		return th.last // it has ended
	}
	ns, _ := strconv.ParseInt(fields[1], 10, 64)
	return time.Duration(ns)
}

// between is how long threads waited from then to now, both of monotonic. Calls
// must be in order of now.
func (w *waits) between(then, now time.Duration) time.Duration {
	for _, th := range w.threads {
		had := th.last
		th.last = th.read()
		w.total += th.last - had
	}
	w.marks = append(w.marks, mark{now, w.total})
	if w.looks++; w.looks%100 == 0 {
		w.discover()
	}
	first := 0
	for first+1 < len(w.marks) && w.marks[first+1].at <= then {
		first++
	}
	w.marks = w.marks[first:]
	return w.total - w.marks[0].total
}

// monotonic is a clock that processes share.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}
