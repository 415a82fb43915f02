package codecache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	patience   = 10 // times the limit of processor time that it may take: the share that niceness leaves on a busy device
	watchEvery = 20 * time.Millisecond
	maxOutput  = 64 << 20 // bytes of a rewritten module and what is said about it
	maxStderr  = 16 << 10 // bytes
)

// translate rewrites and compiles a module, its native code into the folder work.
func (s *Store) translate(ctx context.Context, work string, bin []byte) (*output, error) {
	j := &job{folder: work, memory: s.opts.Memory, size: s.opts.Size, time: s.opts.Time, interpret: s.opts.Interpret}
	if len(s.opts.Child) == 0 {
		out, err := j.run(ctx, bin)
		if err != nil {
			return nil, errors.New(sentence(err.Error()))
		}
		return out, nil
	}
	return j.spawn(ctx, s.opts.Child, bin)
}

// spawn runs j in a process of its own and kills it at its limits.
func (j *job) spawn(ctx context.Context, command []string, bin []byte) (*output, error) {
	// The child dies with the thread that started it, so that must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	limited, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(limited, command[0], append(command[1:len(command):len(command)], j.args()...)...)
	stdout, stderr := &capped{left: maxOutput}, &capped{left: maxStderr, quiet: true}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(bin), stdout, stderr
	cmd.Env, cmd.Dir = []string{}, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // its whole group
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the compiling process: %w; it needs /proc and room for one more process", err)
	}
	var watch sync.WaitGroup
	done := make(chan struct{})
	watch.Go(func() {
		if err := j.watch(done, cmd.Process.Pid); err != nil {
			stop(err)
		}
	})
	err := cmd.Wait()
	close(done)
	watch.Wait()
	switch {
	case err == nil:
		return readOutput(stdout.buf.Bytes())
	case limited.Err() != nil:
		return nil, context.Cause(limited)
	}
	return nil, j.explain(err, stderr.buf.String())
}

// watch returns why process pid must go, or nil when done is closed.
func (j *job) watch(done <-chan struct{}, pid int) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	late := time.After(patience * j.time)
	for {
		select {
		case <-done:
			return nil
		case <-late:
			return fmt.Errorf("the device was too busy to compile the module within %s; deploy it again when there is less to do", patience*j.time)
		case <-tick.C:
			// A process that cannot be looked at has just ended.
			if _, resident, err := memoryOf(pid); err == nil && resident > j.memory {
				return j.needsMemory()
			}
			if used, err := processorTime(pid); err == nil && used > j.time {
				return j.needsTime()
			}
		}
	}
}

// memoryOf returns the bytes that a process has mapped and that are resident.
func memoryOf(pid int) (mapped, resident int64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(text), &mapped, &resident); err != nil {
		return 0, 0, err
	}
	page := int64(os.Getpagesize())
	return mapped * page, resident * page, nil
}

// processorTime returns how long a process has run on a processor.
func processorTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ") // after its name
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0, fmt.Errorf("stat of process %d has %d fields", pid, len(f))
	}
	user, err := strconv.ParseInt(f[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(f[12], 10, 64)
	const tick = time.Second / 100 // Linux shows programs 100 Hz, whatever the kernel uses
	return time.Duration(user+system) * tick, err
}

// explain says why the process failed that wrote stderr.
func (j *job) explain(err error, stderr string) error {
	first, _, _ := strings.Cut(stderr, "\n")
	first = sentence(first)
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return fmt.Errorf("talk to the compiling process: %w", err)
	}
	status, _ := exit.Sys().(syscall.WaitStatus)
	switch {
	case status.Exited() && status.ExitStatus() == 1 && first != "":
		return errors.New(first)
	case status.Signaled() && status.Signal() == syscall.SIGXCPU:
		return j.needsTime()
	case strings.Contains(stderr, "out of memory"), strings.Contains(stderr, "cannot allocate memory"):
		return j.needsMemory()
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		return errors.New("compiling the module was ended by the system, most likely because the device has too little free memory; free some, or build the module with optimisation for size")
	}
	return fmt.Errorf("the compiler crashed on the module (%v: %s); build it again, with another version of its tools", exit, first)
}

func (j *job) needsMemory() error {
	return fmt.Errorf("module needs more than %s of memory to compile; build it with optimisation for size, or split large functions", mebibytes(j.memory))
}

func (j *job) needsTime() error {
	return fmt.Errorf("module needs more than %s of processor time to compile; build it with optimisation for size, or split large functions", j.time)
}

// capped keeps what is written to it, up to left bytes; what is beyond is an
// error, or dropped if quiet.
type capped struct {
	buf   bytes.Buffer // not embedded: its ReadFrom knows no limit
	left  int
	quiet bool
}

func (c *capped) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	c.buf.Write(p[:n])
	if n < len(p) && !c.quiet {
		return n, io.ErrShortWrite
	}
	return len(p), nil
}
