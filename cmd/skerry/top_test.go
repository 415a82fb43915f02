package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
)

func TestTopCountsPerSecond(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	at := func(s int, started time.Time, runs, sent int64) *sample {
		return &sample{time.Now().Add(time.Duration(s) * time.Second), agent.Status{
			Started: started, Events: agent.Counts{Events: runs},
			Functions: []agent.FunctionStatus{{Name: "a/f", Invocations: runs, Failures: runs / 10}},
			Targets:   []agent.TargetStatus{{Name: "t", Kind: "http", Delivered: sent, BytesUp: 100 * sent}},
		}}
	}
	for _, tt := range []struct {
		name                     string
		before, now              *sample
		events, runs, fails, ups float64
	}{
		{"alone", &sample{}, at(0, began, 100, 10), 0, 0, 0, 0},
		{"2 s", at(0, began, 100, 10), at(2, began, 120, 14), 10, 10, 1, 200},
		{"after a restart 1 s ago", at(-8, began, 5000, 4000), at(2, time.Now().Add(time.Second), 30, 2), 30, 30, 3, 200},
		{"a new version counts anew", at(0, began, 100, 10), at(2, began, 40, 10), 20, 20, 2, 0},
	} {
		got := tableOf(tt.before, tt.now)
		for i, v := range [][2]float64{{got.Events, tt.events}, {got.Functions[0].Rate, tt.runs}, {got.Functions[0].Errors, tt.fails}, {got.BytesUp, tt.ups}} {
			if d := v[0] - v[1]; d > 0.1 || d < -0.1 {
				t.Errorf("%s: rate %d is %v, want %v", tt.name, i, v[0], v[1])
			}
		}
	}
}

func TestTopTellsWhatNeedsAttention(t *testing.T) {
	s := agent.Status{
		Store: agent.StoreStatus{Error: "the disk is full", Dead: 3},
		Sync:  agent.SyncStatus{Apps: []agent.AppStatus{{Name: "new", Version: "1", State: "probation", Until: time.Now().Add(time.Minute)}, {Name: "a", Version: "2", State: "held", Reason: "it\nneeds more"}, {Name: "b", State: "good"}}},
		Functions: []agent.FunctionStatus{
			{Name: "b/f", Breaker: &agent.BreakerStatus{Failures: 5, Cause: "trap", RetryAt: time.Now().Add(time.Minute)}},
		},
		Sources: []agent.SourceStatus{{Name: "plant", Note: "refused"}, {Name: "up", Connected: true}},
		Targets: []agent.TargetStatus{{Name: "cloud", LastError: "no route"}},
	}
	got := strings.Join(attention(&s), "\n")
	for _, want := range []string{"nothing is kept on disk now: the disk is full", "a 2: held (it; needs more)", "b/f is stopped after 5 failures, one event tries in 1m0s: trap", "source plant is down (refused)", "target cloud: no route", "3 dead letters"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if !strings.HasSuffix(got, "new 1 is on probation for another 1m0s") {
		t.Errorf("what is not wrong stands above what is:\n%s", got)
	}
	if all := attention(&agent.Status{}); len(all) != 0 {
		t.Errorf("all is well: %q", all)
	}
}

func TestTopFitsTheTerminal(t *testing.T) {
	now := &sample{at: time.Now()}
	for i := range 40 {
		now.Functions = append(now.Functions, agent.FunctionStatus{Name: fmt.Sprintf("an-app-with-a-long-name/and-a-function-%d", i), LastError: strings.Repeat("why ", 60), Invocations: 1})
		now.Targets = append(now.Targets, agent.TargetStatus{Name: fmt.Sprint("target", i), LastError: strings.Repeat("away ", 40)})
	}
	for _, size := range [][2]int{{80, 24}, {200, 50}, {40, 10}, {20, 5}} {
		s := newTopScreen(&topOptions{sort: "rate"}, nil, nil, now)
		for _, key := range []string{"", "\x1b[B", "\x1b[F", "\r", "?", "x", "\x1b[C", "/", "9", "\r"} {
			s.press(key)
			lines := s.picture(size[0], size[1])
			if len(lines) > size[1] {
				t.Errorf("%v after %q: %d lines", size, key, len(lines))
			}
			marked := 0
			for _, l := range lines[:len(lines)-1] {
				if l.style == lookTurned {
					marked++
				}
				if n := utf8.RuneCountInString(fitted(size[0], l.text)); n > size[0] {
					t.Errorf("%v: a line of %d", size, n)
				}
			}
			if size[1] > 20 && marked != 1 && !s.help {
				t.Errorf("%v after %q: %d rows are marked", size, key, marked)
			}
		}
	}
}

func TestTopTakesKeys(t *testing.T) {
	if got := splitKeys("s\x1b[A\x1b[5~é\x1bq\x1bOB"); !slices.Equal(got, []string{"s", "\x1b[A", "\x1b[5~", "é", "\x1b", "q", "\x1bOB"}) {
		t.Errorf("%q", got)
	}
	s := newTopScreen(&topOptions{sort: "rate"}, nil, nil, &sample{at: time.Now()})
	for _, key := range []string{"s", "/", "q", "\x7f", "p", "\r", " "} {
		if s.press(key) {
			t.Errorf("%q ends it", key)
		}
	}
	if s.sort != "errors" || s.filter != "p" || !s.paused || !s.press("q") || !s.press("\x03") {
		t.Errorf("%+v", s)
	}
}

// statusOnly is an agent that only tells how it is.
func statusOnly(t *testing.T, status *atomic.Pointer[agent.Status]) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewEncoder(w).Encode(status.Load()); err != nil {
			return // the client went away
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return socket
}

// TestTopLeavesTheTerminalAsItWas has it end by a key and by signals.
func TestTopLeavesTheTerminalAsItWas(t *testing.T) {
	var status atomic.Pointer[agent.Status]
	status.Store(&agent.Status{Device: "gw7", Started: time.Now(), Functions: []agent.FunctionStatus{{Name: "a/f"}}})
	socket := statusOnly(t, &status)
	for _, how := range []string{"q", "\x03", "INT", "TERM"} {
		term, tty := pseudoTerminal(t)
		before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "top", "--every", "100ms", "--socket", socket)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		waitFor(t, term, &said, "a/f")
		switch how {
		case "INT":
			err = cmd.Process.Signal(syscall.SIGINT)
		case "TERM":
			err = cmd.Process.Signal(syscall.SIGTERM)
		default:
			_, err = term.WriteString(how)
		}
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, term, &said, screenOff)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", how, err)
		}
		after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("%q: the terminal is %+v, was %+v, %v", how, after, before, err)
		}
	}
}

// waitFor reads what is drawn until text comes.
func waitFor(t *testing.T, term *os.File, said *bytes.Buffer, text string) {
	t.Helper()
	buf := make([]byte, 4096)
	for !strings.Contains(said.String(), text) {
		if err := term.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := term.Read(buf)
		if err != nil {
			t.Fatalf("%q does not come: %v in %q", text, err, said)
		}
		said.Write(buf[:n])
	}
}

// pseudoTerminal gives both sides of one.
func pseudoTerminal(t *testing.T) (term, tty *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	term = os.NewFile(uintptr(fd), "ptmx")
	t.Cleanup(func() { term.Close() })
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return term, tty
}

// TestTopShowsStatesOnASmallScreen: names as long as may be leave room for the rest.
func TestTopShowsStatesOnASmallScreen(t *testing.T) {
	rows := []topRow{{Name: strings.Repeat("compressor-", 5) + "app/" + strings.Repeat("moving-average-", 4) + "end", State: "stopped, tries in 4s"}}
	head, lines := layOut(functionColumns, rows, 80)
	if !strings.Contains(head, "STATE") || !strings.Contains(lines[0], "stop") || !strings.Contains(lines[0], "-end ") {
		t.Errorf("%s\n%s", head, lines[0])
	}
}
