//go:build linux

package wasm_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const sourceEvents = "TEST_SOURCE_EVENTS" // makes the test binary a source of so many events

func init() {
	n, err := strconv.Atoi(os.Getenv(sourceEvents))
	if err != nil {
		return
	}
	if err := sendEvents(n); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// sendEvents writes to stdout, once a millisecond, when an event was due and
// when it was sent, 8 bytes each. The system's own timer wakes it: how late it
// sends is how long the system lets any process wait.
func sendEvents(n int) error {
	runtime.LockOSThread()
	due := monotonic()
	for range n {
		due += time.Millisecond
		at := unix.NsecToTimespec(int64(due))
		for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil) == unix.EINTR {
		}
		record := binary.LittleEndian.AppendUint64(nil, uint64(due))
		if _, err := os.Stdout.Write(binary.LittleEndian.AppendUint64(record, uint64(monotonic()))); err != nil {
			return err
		}
	}
	return nil
}

// eachEvent calls f for each of n events that a process of its own sends, as
// soon as it arrives.
func eachEvent(n int, f func(due, sent time.Duration)) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), sourceEvents+"="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cmd.Wait()) }()
	in := bufio.NewReader(out)
	for record := make([]byte, 16); ; {
		if _, err := io.ReadFull(in, record); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		f(time.Duration(binary.LittleEndian.Uint64(record)), time.Duration(binary.LittleEndian.Uint64(record[8:])))
	}
}
