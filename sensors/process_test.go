package sensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// newProcess makes the source "meter" that runs a shell script.
func newProcess(t *testing.T, script string, more ...func(*sensors.ProcessOptions)) *sensors.Process {
	t.Helper()
	opts := sensors.ProcessOptions{Name: "meter", Device: "gw7", Command: []string{"/bin/sh", "-c", script}, Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	src, err := sensors.NewProcess(opts)
	if err != nil {
		t.Fatal(err)
	}
	src.Follow(follow("meter"))
	return src
}

func TestProcessLines(t *testing.T) {
	t.Setenv("PAGER_TOKEN", "not for commands")
	s := &sink{keep: true}
	src := newProcess(t, `echo "$UNIT $PAGER_TOKEN $PWD"; echo '{"a":1}'; printf end; exec sleep 100`, func(o *sensors.ProcessOptions) {
		o.Dir, o.Env = "/", []string{"UNIT=7"}
	})
	start(t, src, s)
	s.check(t, "7  /", `{"a":1}`)
	for i, want := range []string{"text/plain; charset=utf-8", "application/json"} {
		if ev := s.offers()[i]; ev.ContentType != want || ev.Subject != "meter" || ev.Via != "meter" || ev.Type != "io.skerry.process" ||
			ev.Source != "/gw7/process/meter" || ev.QoS != 1 {
			t.Errorf("event %d: %+v", i, ev.Event)
		}
	}
	if st := src.Status(); !st.Connected || st.Note != "" {
		t.Errorf("status %+v", st)
	}
}

// TestProcessIsRestarted: all it has said is taken, and why it ended is told.
func TestProcessIsRestarted(t *testing.T) {
	s := &sink{keep: true}
	src := newProcess(t, `echo one; printf last; echo "no such port" >&2; exit 3`)
	start(t, src, s)
	s.wait(t, 4)
	s.check(t, "one", "last", "one", "last")
	noted(t, src, "the restart", func(note string) bool {
		return strings.Contains(note, "restarted 1 times; it last ended with exit status 3: no such port")
	})
}

// TestProcessIsHeldBack: its output is not read while 64 lines have no outcome.
func TestProcessIsHeldBack(t *testing.T) {
	s := &sink{}
	count := filepath.Join(t.TempDir(), "count")
	src := newProcess(t, `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo "line $i"; echo $i > `+count+`; done; exec sleep 100`)
	start(t, src, s)
	said := func() int {
		text, err := os.ReadFile(count)
		if err != nil {
			return 0
		}
		n, _ := strconv.Atoi(strings.TrimSpace(string(text))) // cut off in mid-write: 0
		return n
	}
	s.wait(t, 64)
	last, same := 0, 0 // the pipe holds some thousands
	testbed.Eventually(t, patience, "the command stands still", func() error {
		if n := said(); n == 0 || n != last {
			last, same = n, 0
		}
		if same++; same < 20 {
			return fmt.Errorf("%d lines", last)
		}
		return nil
	})
	if n := len(s.offers()); n != 64 || src.Status().Inflight != 64 {
		t.Errorf("%d lines offered, %d in flight, want 64", n, src.Status().Inflight)
	}
	for _, o := range s.offers() {
		o.done(nil)
	}
	got := s.wait(t, 128)
	if string(got[64].Data) != "line 65" {
		t.Errorf("goes on with %q", got[64].Data)
	}
}

func TestProcessOffersAgain(t *testing.T) {
	s := &sink{}
	src := newProcess(t, `echo one; echo two; exec sleep 100`)
	start(t, src, s)
	for _, o := range s.wait(t, 2) {
		o.done(errors.New("disk full"))
	}
	s.wait(t, 4)
	s.check(t, "one", "two", "one", "two")
}

// TestProcessGroupEnds: nothing that the command started outlives the source,
// though it does not listen to reason.
func TestProcessGroupEnds(t *testing.T) {
	s := &sink{keep: true}
	src := newProcess(t, `trap "" TERM; sleep 1000 & echo $!; echo $$; wait; exec sleep 1000`)
	stop := start(t, src, s)
	got := s.wait(t, 2)
	stop()
	for _, o := range got {
		pid, err := strconv.Atoi(string(o.Data))
		if err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, patience, "the process is gone", func() error {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) && !zombie(pid) {
				return fmt.Errorf("process %d: %w", pid, err)
			}
			return nil
		})
	}
}

// TestProcessOutputOutlivesIt: somebody who left its process group still holds
// its output. The command is started again all the same, and stopping is soon over.
func TestProcessOutputOutlivesIt(t *testing.T) {
	s := &sink{keep: true}
	src := newProcess(t, `setsid sleep 1000 & echo $!; exit 3`)
	stop := start(t, src, s)
	got := s.wait(t, 2)
	stop()
	for _, o := range got {
		pid, err := strconv.Atoi(string(o.Data))
		if err != nil {
			t.Fatal(err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// zombie tells that a process has ended, and nobody has taken note.
func zombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}

// TestProcessStopsWithItsLastTrigger, and is not started without one.
func TestProcessStopsWithItsLastTrigger(t *testing.T) {
	s := &sink{keep: true}
	src := newProcess(t, `echo one; exec sleep 1000`)
	src.Follow(nil)
	start(t, src, s)
	noted(t, src, "no trigger", func(note string) bool { return note == "not started: no trigger uses it" })
	src.Follow(follow("meter"))
	s.check(t, "one")
	src.Follow(nil)
	noted(t, src, "stopped", func(note string) bool { return strings.Contains(note, "not started") })
}

// syncLog is a log that a test reads while it is written.
type syncLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *syncLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// TestProcessComplaints: what it writes to stderr is logged, within reason.
func TestProcessComplaints(t *testing.T) {
	log := &syncLog{}
	s := &sink{keep: true}
	src := newProcess(t, `i=0; while [ $i -lt 500 ]; do i=$((i+1)); echo "trouble $i" >&2; done; echo done; exec sleep 100`,
		func(o *sensors.ProcessOptions) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	stop := start(t, src, s)
	s.wait(t, 1)
	stop()
	if n := strings.Count(log.String(), "trouble"); n < 20 || n > 40 {
		t.Errorf("%d of 500 lines logged", n)
	}
}

func TestNewProcessRefuses(t *testing.T) {
	script := write(t, filepath.Join(t.TempDir(), "script"), "#!/bin/sh\n") // not executable
	for want, command := range map[string][]string{
		"it is a list that begins with a program": nil,
		"no-such-program cannot be run":           {"no-such-program"},
		"it has to be there and to be executable": {script},
	} {
		_, err := sensors.NewProcess(sensors.ProcessOptions{Name: "meter", Command: command})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", command, err, want)
		}
	}
}
