package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

const goroutinesAre = "goroutines="

// tellGoroutines has the test binary, when it is skerry, say how many goroutines
// it has whenever it gets SIGUSR1. The real one has no such door.
func tellGoroutines() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	for range asked {
		fmt.Fprintf(os.Stderr, "\n%s%d\n", goroutinesAre, runtime.NumGoroutine())
	}
}

// goroutines asks the gateway how many it has.
func (r *rig) goroutines() (n int) {
	r.t.Helper()
	before := strings.Count(r.proc.Output(), goroutinesAre)
	if err := syscall.Kill(r.proc.Pid(), syscall.SIGUSR1); err != nil {
		r.t.Fatal(err)
	}
	testbed.Eventually(r.t, 10*time.Second, "the gateway counts its goroutines", func() error {
		answers := strings.SplitAfter(r.proc.Output(), goroutinesAre)[1:]
		if len(answers) == before {
			return errors.New("no answer")
		}
		digits, _, whole := strings.Cut(answers[len(answers)-1], "\n")
		if !whole {
			return errors.New("half an answer")
		}
		var err error
		n, err = strconv.Atoi(digits)
		return err
	})
	return n
}
