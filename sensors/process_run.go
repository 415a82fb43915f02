package sensors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// command is a program that runs in a process group of its own.
type command struct {
	cmd  *exec.Cmd
	out  *os.File      // what it writes
	over chan struct{} // closed when it has ended
	err  error         // why it ended; to be read once over is closed
	said *stderrLog
	all  sync.WaitGroup
}

// handedOn are the variables that commands get of the agent's own. Others may
// hold what is none of their business.
var handedOn = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"}

// startCommand starts it; it is ended when ctx ends, with all that it started.
func startCommand(ctx context.Context, o *ProcessOptions, log *slog.Logger) (*command, error) {
	out, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Command[0], err)
	}
	defer writer.Close() // the command has its own
	said := &stderrLog{log: log, rates: newRates(stderrPerSec, stderrAtOnce)}
	c := &command{out: out, over: make(chan struct{}), said: said}
	c.cmd = exec.Command(o.Command[0], o.Command[1:]...)
	c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr, c.cmd.WaitDelay = o.Dir, writer, said, termTime
	for _, name := range handedOn {
		if value, ok := os.LookupEnv(name); ok {
			c.cmd.Env = append(c.cmd.Env, name+"="+value)
		}
	}
	c.cmd.Env = append(c.cmd.Env, o.Env...)
	// Should the agent be killed, a new one must not find the old command at the
	// same serial port. Linux looks at the thread that started it.
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	c.all.Go(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.over)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", o.Command[0], err), out.Close())
	}
	c.all.Go(func() { c.stopWith(ctx) })
	return c, nil
}

// stopWith ends the command with ctx: kindly, then not.
func (c *command) stopWith(ctx context.Context) {
	select {
	case <-c.over:
		c.out.SetReadDeadline(time.Now().Add(termTime)) // for a Read that has begun
	case <-ctx.Done():
		c.signal(syscall.SIGTERM)
		timer := time.NewTimer(termTime)
		defer timer.Stop()
		select {
		case <-c.over:
		case <-timer.C:
		}
		c.out.SetReadDeadline(time.Now()) // somebody else may hold its other end
	}
	c.signal(syscall.SIGKILL) // what it started and left behind
}

// Read reads what the command writes. Who left its process group may hold the
// other end for ever: once the command has ended, output that pauses is over.
func (c *command) Read(b []byte) (int, error) {
	select {
	case <-c.over:
		c.out.SetReadDeadline(time.Now().Add(termTime))
	default:
	}
	return c.out.Read(b)
}

// signal sends s to the process group; it fails only if nobody is left.
func (c *command) signal(s syscall.Signal) { syscall.Kill(-c.cmd.Process.Pid, s) }

// end waits for the end of the command and tells what a person should know of it.
func (c *command) end() string {
	c.all.Wait()
	c.out.Close()
	why := "exit status 0"
	if c.err != nil {
		why = c.err.Error()
	}
	if last := c.said.last(); last != "" && c.err != nil {
		why += ": " + last
	}
	return why
}

// stderrLog writes what a command says of itself to the log, not too often.
type stderrLog struct {
	log   *slog.Logger
	rates *rates

	mu   sync.Mutex
	part []byte // of a line
	text string // the last line
	left int64  // lines not logged
}

var _ io.Writer = (*stderrLog)(nil)

func (s *stderrLog) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range b {
		if c == '\n' {
			s.line()
		} else if len(s.part) < maxStderrBytes {
			s.part = append(s.part, c)
		}
	}
	return len(b), nil
}

// line takes the end of a line; s.mu is held.
func (s *stderrLog) line() {
	text := strings.ToValidUTF8(strings.TrimSpace(string(s.part)), "?")
	s.part = s.part[:0]
	if text == "" {
		return
	}
	s.text = text
	if s.rates.take("", time.Now()) > 0 {
		s.left++
		return
	}
	s.log.Warn("command says", "text", text, "left_out", s.left)
	s.left = 0
}

func (s *stderrLog) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.part) > 0 {
		s.line()
	}
	return s.text
}
