// Package testbed starts the real programs that tests talk to (mosquitto,
// docker-registry, moto, serverless-offline) on free loopback ports, and stops
// what it started. A program that is missing fails the test with the command
// that installs it.
package testbed

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Ports of FreePort lie below those that systems give to connections that go
// out: no connection of another test takes one before it is listened on.
const (
	firstPort = 10000
	lastPort  = 32000
)

// FreePort returns a TCP port on 127.0.0.1 that nobody listened on just now.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := firstPort + rand.N(lastPort-firstPort)
		l, err := net.Listen("tcp", Addr(port))
		if err != nil {
			continue // taken
		}
		l.Close()
		return port
	}
	t.Fatal("find a free port: 100 are taken")
	return 0
}

// Addr is "127.0.0.1:port".
func Addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Proc is a program that a test started.
type Proc struct {
	t    testing.TB
	cmd  *exec.Cmd
	out  *syncBuffer
	done chan struct{}
}

// Start runs a program and waits until ready answers nil, for at most 30 s.
// The program is killed when the test ends; install is the command that
// brings it, told when it is missing.
func Start(t testing.TB, install string, ready func() error, name string, args ...string) *Proc {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is missing; install it with: %s", name, install)
	}
	p := &Proc{t: t, cmd: exec.Command(path, args...), out: &syncBuffer{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	Eventually(t, 30*time.Second, name+" is ready", func() error {
		select {
		case <-p.done:
			t.Fatalf("%s ended at once:\n%s", name, p.out)
		default:
		}
		return ready()
	})
	return p
}

// Kill stops the program with SIGKILL and waits until it is gone.
func (p *Proc) Kill() { p.signal(syscall.SIGKILL) }

// Stop asks the program to end with SIGTERM and waits until it is gone.
func (p *Proc) Stop() { p.signal(syscall.SIGTERM) }

// Freeze has the program stand still until Thaw.
func (p *Proc) Freeze() { p.send(syscall.SIGSTOP) }

// Thaw lets it go on.
func (p *Proc) Thaw() { p.send(syscall.SIGCONT) }

func (p *Proc) send(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal the program: %v", err)
	}
}

// Output is what the program printed so far.
func (p *Proc) Output() string { return p.out.String() }

// Pid is the program's process id.
func (p *Proc) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

func (p *Proc) signal(sig syscall.Signal) {
	select {
	case <-p.done:
		return
	default:
	}
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// Listening is a ready function: a TCP connection to addr succeeds.
func Listening(addr string) func() error {
	return func() error {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			c.Close()
		}
		return err
	}
}

// Eventually polls check until it answers nil, and fails the test with its
// last error when the time is over.
func Eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for pause := 5 * time.Millisecond; ; pause = min(pause*5/4, 25*time.Millisecond) { // to ask costs time, too
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s: %v", within, what, err)
		}
		time.Sleep(pause)
	}
}

// syncBuffer collects output from another goroutine.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
