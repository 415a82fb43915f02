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
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	watchEvery = 20 * time.Millisecond
	maxOutput  = 64 << 20 // bytes of a rewritten module and what is said about it
	maxStderr  = 16 << 10 // bytes
)

// translate rewrites and compiles a module, its native code into the folder work.
func (s *Store) translate(ctx context.Context, work string, bin []byte) (*output, error) {
	j := &job{folder: work, memory: s.opts.Memory, time: s.opts.Time, interpret: s.opts.Interpret}
	if len(s.opts.Child) == 0 {
		return j.run(ctx, bin)
	}
	return j.spawn(ctx, s.opts.Child, bin)
}

// spawn runs j in a process of its own and kills it at its limits.
func (j *job) spawn(ctx context.Context, command []string, bin []byte) (*output, error) {
	// The child dies with the thread that started it, so that must stay.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	limited, cancel := context.WithTimeout(ctx, j.time)
	defer cancel()
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
	var tooBig atomic.Bool
	watched := make(chan struct{})
	watching, stop := context.WithCancel(limited)
	go func() {
		defer close(watched)
		if j.outgrown(watching, cmd.Process.Pid) {
			tooBig.Store(true)
			_ = cmd.Cancel()
		}
	}()
	err := cmd.Wait()
	stop()
	<-watched
	switch {
	case err == nil:
		return readOutput(stdout.buf.Bytes())
	case tooBig.Load():
		return nil, j.needsMemory()
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil:
		return nil, j.needsTime()
	}
	return nil, j.explain(err, stderr.buf.String())
}

// outgrown waits until process pid is larger than it may be, or ctx is done.
func (j *job) outgrown(ctx context.Context, pid int) bool {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			if _, resident, err := memoryOf(pid); err == nil && resident > j.memory {
				return true
			}
		}
	}
}

// memoryOf returns the bytes that a process has mapped and that are resident.
func memoryOf(pid int) (mapped, resident int64, err error) {
	text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "statm"))
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(string(text), &mapped, &resident); err != nil {
		return 0, 0, err
	}
	page := int64(os.Getpagesize())
	return mapped * page, resident * page, nil
}

// explain says why the process failed that wrote stderr.
func (j *job) explain(err error, stderr string) error {
	first, _, _ := strings.Cut(stderr, "\n")
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
	return fmt.Errorf("module takes longer than %s to compile; build it with optimisation for size, or split large functions", j.time)
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
