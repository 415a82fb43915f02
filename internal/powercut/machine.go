package powercut

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Machine is a running emulated computer. KVM is not used: where this runs it
// may be there and hang.
type Machine struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	done  chan struct{}

	mu    sync.Mutex
	lines []string // of its serial line
}

// Boot are the parts of a machine.
type Boot struct {
	Kernel, Initrd string
	Socket         string // unix socket of a Disk
	Forward        int    // port of this computer that leads to its port 1883; 0 for none
	Date           int64  // seconds since 1970 that its clock starts at; 0 means now
}

// boot turns a machine on.
func boot(b Boot) (*Machine, error) {
	args := "console=ttyS0 quiet panic=-1"
	if b.Date != 0 {
		args += fmt.Sprintf(" date=%d", b.Date)
	}
	network := "user,id=n"
	if b.Forward != 0 {
		network += fmt.Sprintf(",hostfwd=tcp:127.0.0.1:%d-:1883", b.Forward)
	}
	m := &Machine{done: make(chan struct{})}
	m.cmd = exec.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-smp", "1",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", b.Kernel, "-initrd", b.Initrd, "-append", args,
		"-drive", "file=nbd:unix:"+b.Socket+",if=virtio,format=raw,cache=writeback",
		"-netdev", network, "-device", "virtio-net-pci,netdev=n,romfile=")
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if m.input, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	m.cmd.Stderr = m.cmd.Stdout
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the machine: %w; install it with: apt-get install qemu-system-x86", err)
	}
	go m.read(out)
	return m, nil
}

// read keeps what the machine says until it ends.
func (m *Machine) read(out io.Reader) {
	s := bufio.NewScanner(out)
	for s.Scan() {
		m.mu.Lock()
		m.lines = append(m.lines, strings.TrimSpace(s.Text()))
		m.mu.Unlock()
	}
	_ = m.cmd.Wait() // it is killed as a rule
	close(m.done)
}

// Tell has the machine's shell run a command.
func (m *Machine) Tell(command string) error {
	_, err := io.WriteString(m.input, command+"\n")
	return err
}

// Said counts the lines that begin with text.
func (m *Machine) Said(text string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.lines {
		if strings.HasPrefix(l, text) {
			n++
		}
	}
	return n
}

// Output is all that the machine said.
func (m *Machine) Output() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.lines, "\n")
}

// Kill stops the machine where it is, in mid-write if it is writing. One that
// has ended by itself is no error.
func (m *Machine) Kill() error {
	err := m.cmd.Process.Kill()
	<-m.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Done is closed when the machine has ended.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Used is the processor time that the machine has taken so far.
func (m *Machine) Used() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.cmd.Process.Pid))
	if err != nil {
		return 0 // it has ended
	}
	// The name in parentheses may hold anything; utime and stime are the 12th
	// and 13th fields behind it, in hundredths of a second.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
