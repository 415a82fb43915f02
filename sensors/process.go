package sensors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// ProcessOptions say which command to run. Name, Device and Command are needed.
type ProcessOptions struct {
	Name    string // the source's name: triggers name it in Via; Subject of its events
	Device  string
	Command []string // program and arguments; no shell looks at them
	Dir     string   // working directory; "" is the agent's own
	Env     []string // "NAME=value", beside the few of the agent's that are handed on
	MaxLine int      // bytes; longer lines are left out; 0 means 64 KiB
	Log     *slog.Logger
}

const (
	defaultLine    = 64 << 10
	firstRestart   = time.Second
	lastRestart    = time.Minute
	steadyProcess  = time.Minute     // a command that ran so long is restarted soon
	termTime       = 2 * time.Second // from SIGTERM to SIGKILL
	processWindow  = 64              // lines without an outcome
	stderrPerSec   = 1
	stderrAtOnce   = 20
	typeProcess    = "io.skerry.process"
	maxStderrBytes = 1024 // of a line in the log
)

// Process is the source of the lines that a command writes to its standard
// output. It runs as long as there are triggers for it, and is started again
// when it ends. Lines that have no outcome when the agent crashes are lost: a
// command cannot be asked again.
type Process struct {
	opts   ProcessOptions
	source string // URI of its events
	log    *slog.Logger
	*interest

	mu       sync.Mutex
	ring     *ring // of the running command; nil before the first
	pid      int   // 0: it does not run
	restarts int64
	long     int64  // lines left out
	last     string // how the last one ended
}

var _ agent.Source = (*Process)(nil)

// NewProcess checks the options; nothing runs yet.
func NewProcess(opts ProcessOptions) (*Process, error) {
	if err := checkName(opts.Name); err != nil {
		return nil, err
	}
	if err := CheckCommand(opts.Command, opts.Dir); err != nil {
		return nil, fmt.Errorf("source %s: %w", opts.Name, err)
	}
	opts.MaxLine = cmp.Or(opts.MaxLine, defaultLine)
	return &Process{
		opts: opts, source: "/" + opts.Device + "/process/" + opts.Name, interest: newInterest(opts.Name),
		log: cmp.Or(opts.Log, slog.Default()).With("source", opts.Name),
	}, nil
}

// CheckCommand refuses a command that cannot be run in dir.
func CheckCommand(command []string, dir string) error {
	if len(command) == 0 || command[0] == "" {
		return errors.New("it is a list that begins with a program, such as [\"/usr/bin/candump\", \"can0\"]")
	}
	if info, err := os.Stat(cmp.Or(dir, ".")); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no directory to run a command in", dir)
	}
	if cmd := exec.Command(command[0]); cmd.Err != nil {
		return fmt.Errorf("%s cannot be run: %w; install it, or name it with its path", command[0], cmd.Err)
	}
	if strings.Contains(command[0], "/") {
		path := command[0]
		if dir != "" && !strings.HasPrefix(path, "/") {
			path = dir + "/" + path
		}
		if info, err := os.Stat(path); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return fmt.Errorf("%s cannot be run: it has to be there and to be executable (chmod +x)", command[0])
		}
	}
	return nil
}

// Run implements agent.Source.
func (p *Process) Run(ctx context.Context, offer agent.Offer) error {
	pause := firstRestart
	for p.await(ctx.Done()) {
		began := time.Now()
		p.once(ctx, offer)
		if time.Since(began) >= steadyProcess {
			pause = firstRestart
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		pause = min(2*pause, lastRestart)
		p.mu.Lock()
		p.restarts++
		p.mu.Unlock()
	}
	return nil
}

// once runs the command and offers its lines until it has ended, ctx ends, or no
// trigger is left.
func (p *Process) once(ctx context.Context, offer agent.Offer) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := newRing(offer, processWindow)
	c, err := startCommand(ctx, &p.opts, p.log)
	if err != nil { // it was there when the agent started
		p.ended(err.Error())
		return
	}
	p.mu.Lock()
	p.ring, p.pid = r, c.cmd.Process.Pid
	p.mu.Unlock()
	p.log.Info("command runs", "command", p.opts.Command[0], "pid", c.cmd.Process.Pid)
	retrying := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { r.run(retrying) })
	all.Go(func() { p.whileWanted(ctx, cancel) })
	out := &lines{from: c, max: p.opts.MaxLine, long: p.tooLong}
	p.deliver(ctx, r, out)
	cancel()
	why := c.end()
	p.ended(why)
	drain(r)
	close(retrying)
	all.Wait()
	p.log.Info("command ended", "command", p.opts.Command[0], "why", why)
}

// whileWanted stops the command when its last trigger goes.
func (p *Process) whileWanted(ctx context.Context, stop func()) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
		if filters, _ := p.now(); len(filters) == 0 {
			stop()
		}
	}
}

// deliver offers lines until there are no more. The command waits, since its
// output is not read, while there is no room for another.
func (p *Process) deliver(ctx context.Context, r *ring, out *lines) {
	for {
		line, err := out.next()
		if err != nil {
			line = out.rest()
		}
		if line != nil {
			ev := &agent.Event{
				Source: p.source, Type: typeProcess, Subject: p.opts.Name, Time: time.Now(),
				ContentType: lineType(line), Data: line, Via: p.opts.Name, QoS: 1,
			}
			for !r.add(ev, func() {}) {
				if r.waitRoom(ctx.Done(), time.Second); ctx.Err() != nil {
					return
				}
			}
		}
		if err != nil || ctx.Err() != nil {
			return
		}
	}
}

// drain waits a moment for outcomes under way.
func drain(r *ring) {
	deadline := time.NewTimer(drainWait)
	defer deadline.Stop()
	for r.waiting() > 0 {
		select {
		case <-r.room:
		case <-deadline.C:
			return
		}
	}
}

func (p *Process) tooLong() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.long++
}

func (p *Process) ended(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pid = 0
	p.last = why
}

// Status tells how the source is.
func (p *Process) Status() agent.SourceStatus {
	filters, faults := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := agent.SourceStatus{Name: p.opts.Name, Kind: "process", Connected: p.pid != 0, Filters: filters}
	notes := append([]string{}, faults...)
	if p.ring != nil {
		st.Inflight = p.ring.waiting()
	}
	if len(filters) == 0 && p.pid == 0 {
		notes = append(notes, "not started: no trigger uses it")
	}
	if p.restarts > 0 {
		notes = append(notes, fmt.Sprintf("restarted %d times", p.restarts))
	}
	if p.last != "" {
		notes = append(notes, "it last ended with "+p.last)
	}
	if p.long > 0 {
		notes = append(notes, fmt.Sprintf("%d lines over %d bytes left out", p.long, p.opts.MaxLine))
	}
	st.Note = joinNotes(nil, notes...)
	return st
}
