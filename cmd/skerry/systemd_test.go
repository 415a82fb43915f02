package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// toldSystemd is what a supervisor said.
type toldSystemd struct {
	mu   sync.Mutex
	said []string
}

func (h *toldSystemd) tell(state string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, strings.Split(state, "\n")...)
	return nil
}

func (h *toldSystemd) count(what string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.said {
		if s == what {
			n++
		}
	}
	return n
}

func TestBeatsWhileItWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h toldSystemd
		begun, stuck := time.Now(), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		s := &supervisor{tell: h.tell, every: 10 * time.Second, log: slog.New(slog.DiscardHandler)}
		up := func() bool { return time.Since(begun) >= 3*time.Second }
		look := func() string {
			if time.Since(begun) > 100*time.Second {
				<-stuck
			}
			return "well"
		}
		done := make(chan error, 1)
		go func() { done <- s.run(ctx, up, look) }()

		<-time.After(2 * time.Second)
		synctest.Wait()
		if h.count("READY=1")+h.count("WATCHDOG=1") != 0 {
			t.Errorf("said %q before it was up", h.said)
		}
		<-time.After(58 * time.Second)
		synctest.Wait()
		if h.count("READY=1") != 1 || h.count("WATCHDOG=1") != 6 || h.count("STATUS=well") != 6 {
			t.Errorf("in a minute it said %q; want READY once and a beat each 10 s", h.said)
		}
		<-time.After(10 * time.Minute)
		synctest.Wait()
		if got := h.count("WATCHDOG=1"); got != 10 {
			t.Errorf("%d beats, want 10: none while nothing answers", got)
		}
		close(stuck)
		cancel()
		if err := <-done; err != nil || h.count("STOPPING=1") != 1 {
			t.Errorf("ended with %v and said %q", err, h.said)
		}
	})
}

func TestWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	s := newSupervisor(slog.New(slog.DiscardHandler))
	if err := s.run(t.Context(), nil, nil); s != nil || err != nil {
		t.Errorf("without a socket: %v, %v", s, err)
	}
}

func TestPulseLine(t *testing.T) {
	functions := []agent.FunctionStatus{{Name: "a/f"}, {Name: "a/g"}}
	targets := []agent.TargetStatus{{Waiting: 3}, {Waiting: 4}}
	for _, tt := range []struct {
		s     agent.Status
		fleet bool
		want  string
	}{
		{agent.Status{}, false, "no fleet yet: set registry.ref"},
		{agent.Status{}, true, "nothing to run yet"},
		{agent.Status{Functions: functions, Targets: targets, Store: agent.StoreStatus{Dead: 1}}, true, "2 functions, 7 waiting for the cloud, 1 dead letter"},
		{agent.Status{Functions: functions, Store: agent.StoreStatus{Error: "full"}}, true, "cannot keep events: full"},
	} {
		if got := pulseLine(&tt.s, tt.fleet); !strings.HasPrefix(got, tt.want) {
			t.Errorf("got %q, want %q…", got, tt.want)
		}
	}
}

// TestNotify runs an agent as systemd would start it from a unit of Type=notify.
func TestNotify(t *testing.T) {
	r := newRig(t, "broker: {listen: '127.0.0.1:0', anonymous: true}\nregistry: {}")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "n"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	t.Setenv("WATCHDOG_USEC", "200000")
	r.start()
	var h toldSystemd
	go func() {
		for buf := make([]byte, 4096); ; {
			n, err := socket.Read(buf)
			if err != nil {
				return // closed
			}
			h.tell(string(buf[:n]))
		}
	}()
	await := func(what string, n int) {
		t.Helper()
		testbed.Eventually(t, 30*time.Second, "systemd hears "+what, func() error {
			if got := h.count(what); got < n {
				return fmt.Errorf("%d times, want %d", got, n)
			}
			return nil
		})
	}
	await("READY=1", 1)
	if s := r.status(); !s.Sources[0].Connected {
		t.Errorf("ready, and the broker does not listen: %+v", s.Sources)
	}
	await("STATUS="+pulseLine(&agent.Status{}, false), 1)
	await("WATCHDOG=1", 3)
	r.proc.Stop()
	await("STOPPING=1", 1)
}
