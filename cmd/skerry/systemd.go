package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// supervisor tells systemd how the agent is (Type=notify, sd_notify(3)).
type supervisor struct {
	tell  func(state string) error
	every time.Duration // between beats; half of what WatchdogSec= allows
	log   *slog.Logger
}

// idleBeat is how often the line of `systemctl status` is made anew where no watchdog waits.
const idleBeat = 30 * time.Second

// startPoll is how often it is looked whether what was started is there.
const startPoll = 100 * time.Millisecond

// tellWithin is how long one who does not read may hold up a beat.
const tellWithin = time.Second

// newSupervisor is nil if the agent was not started by systemd, or by a unit of
// another type. Programs that the agent starts are not to speak for it.
func newSupervisor(log *slog.Logger) *supervisor {
	socket := os.Getenv("NOTIFY_SOCKET")
	usec, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err != nil || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		usec = 0
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		os.Unsetenv(name)
	}
	if socket == "" {
		return nil
	}
	every := cmp.Or(time.Duration(usec)*time.Microsecond/2, idleBeat)
	return &supervisor{tell: notifier(socket), every: every, log: log}
}

// notifier sends to the socket of the name; one that begins with @ is no file.
func notifier(socket string) func(string) error {
	return func(state string) error {
		c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
		if err != nil {
			return fmt.Errorf("tell systemd: %w", err)
		}
		defer c.Close()
		if err := c.SetWriteDeadline(time.Now().Add(tellWithin)); err != nil {
			return fmt.Errorf("tell systemd: %w", err)
		}
		if _, err := c.Write([]byte(state)); err != nil {
			return fmt.Errorf("tell systemd: %w", err)
		}
		return nil
	}
}

// run tells READY once up says so, then beats until ctx ends. A beat is the line that
// look makes; while look does not return there is none, and systemd's watchdog ends
// the agent, which then says where each goroutine stood.
func (s *supervisor) run(ctx context.Context, up func() bool, look func() string) error {
	if s == nil {
		return nil
	}
	tick := time.NewTicker(startPoll)
	defer tick.Stop()
	for ready := false; ; {
		if !ready && up() {
			ready = true
			s.send("READY=1")
			tick.Reset(s.every)
		}
		if ready {
			s.send("WATCHDOG=1\nSTATUS=" + look())
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.send("STOPPING=1\nSTATUS=finishing what was taken in")
			return nil
		}
	}
}

func (s *supervisor) send(state string) {
	if err := s.tell(state); err != nil {
		s.log.Warn("the supervisor does not hear this agent", "err", err)
	}
}

// up tells whether the agent has started: it runs what it has, or knows that it cannot,
// and its listeners are open. Connections to elsewhere do not count: they may be away.
func (d *device) up() bool {
	if !d.restored.Load() {
		return false
	}
	if !d.applied.Load() {
		return true // the sources stay closed until the registry has something that runs
	}
	for _, s := range d.sources {
		if st := s.Status(); listens(st.Kind) && !st.Connected {
			return false
		}
	}
	return true
}

func listens(kind string) bool { return kind == "broker" || kind == "http" }

// pulse is what the watchdog goes by: the store takes and writes commits, or says why
// it cannot, and all parts of the agent answer. That a disk is full or a link is down
// is no reason to start again, and is told in the line it returns.
func (d *device) pulse() string {
	full := d.store.Settle()
	s := d.status()
	s.Store.Error = cmp.Or(s.Store.Error, errorText(full))
	return pulseLine(&s, d.puller != nil)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// pulseLine is the agent's state for `systemctl status`.
func pulseLine(s *agent.Status, fleet bool) string {
	waiting := 0
	for _, t := range s.Targets {
		waiting += t.Waiting
	}
	switch {
	case s.Store.Error != "":
		return "cannot keep events: " + s.Store.Error + "; see skerry status"
	case !fleet:
		return "no fleet yet: set registry.ref in the configuration, or skerry enroll; docs/install.md"
	case len(s.Functions) == 0 && waiting == 0:
		return "nothing to run yet: see skerry status"
	}
	return fmt.Sprintf("%s, %d waiting for the cloud, %s", agent.CountText(len(s.Functions), "function"), waiting, agent.CountText(s.Store.Dead, "dead letter"))
}
