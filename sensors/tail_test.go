package sensors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
)

// logFile is a file that a program writes to, and rotates.
type logFile struct {
	t    *testing.T
	path string
	memo *notes
}

func newLogFile(t *testing.T) *logFile {
	return &logFile{t, filepath.Join(t.TempDir(), "app.log"), &notes{}}
}

// say appends text.
func (l *logFile) say(text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

func (l *logFile) rename(to string) {
	l.t.Helper()
	if err := os.Rename(l.path, l.path+to); err != nil {
		l.t.Fatal(err)
	}
}

// copyTruncate rotates as logrotate does for programs that keep their file.
func (l *logFile) copyTruncate(to string) {
	l.t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	write(l.t, l.path+to, string(text))
	if err := os.Truncate(l.path, 0); err != nil {
		l.t.Fatal(err)
	}
}

// TestTailWithANoteOfAnotherRelease begins anew, and does not end the agent.
func TestTailWithANoteOfAnotherRelease(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	must(t, l.memo.Put("position/log", []byte(`{"n":4,"mark":"v2:17"}`)))
	l.say("one\n")
	start(t, l.tail(), s)
	s.check(t, "one")
}

// tail makes the source "log" that follows the file.
func (l *logFile) tail(more ...func(*sensors.TailOptions)) *sensors.Tail {
	l.t.Helper()
	opts := sensors.TailOptions{Name: "log", Device: "gw7", Path: l.path, Poll: time.Millisecond, Notes: l.memo, Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	src, err := sensors.NewTail(opts)
	if err != nil {
		l.t.Fatal(err)
	}
	src.Follow(follow("log"))
	return src
}

// follow is a trigger for all events of a source.
func follow(name string) []agent.Trigger {
	return []agent.Trigger{{Name: "app/" + name, Via: name, Filter: "#"}}
}

// texts checks what a sink that keeps all got, in order.
func (s *sink) check(t *testing.T, want ...string) {
	t.Helper()
	s.wait(t, len(want))
	if got := s.texts(0); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTailFollows(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	src := l.tail()
	start(t, src, s)
	noted(t, src, "a file that is not there", func(note string) bool { return strings.Contains(note, "no such file") })
	l.say("one\r\n\n{\"two\":2}\nthr")
	s.wait(t, 2)
	l.say("ee\n")
	s.check(t, "one", `{"two":2}`, "three")
	for i, want := range []string{"text/plain; charset=utf-8", "application/json", "text/plain; charset=utf-8"} {
		if ev := s.offers()[i]; ev.ContentType != want || ev.Subject != "log" || ev.Via != "log" || ev.Type != "io.skerry.tail" ||
			ev.Source != "/gw7/tail/log" || ev.QoS != 1 {
			t.Errorf("event %d: %+v", i, ev.Event)
		}
	}
}

// TestTailGoesOn: after a stop it goes on behind the last line with an outcome.
func TestTailGoesOn(t *testing.T) {
	l, s := newLogFile(t), &sink{}
	l.say("one\ntwo\nthree\n")
	stop := start(t, l.tail(), s)
	first := s.wait(t, 3)
	first[0].done(nil)
	stop()
	l.say("four\n")
	s = &sink{keep: true}
	start(t, l.tail(), s)
	s.check(t, "two", "three", "four")
	if again := s.offers()[0]; again.Origin.Slot != first[1].Origin.Slot || again.Origin.Hash != first[1].Origin.Hash || !again.Origin.Redelivered {
		t.Errorf("comes again as %+v, was %+v", again.Origin, first[1].Origin)
	}
}

func TestTailFromTheEnd(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	l.say("old\nbegun")
	fromEnd := func(o *sensors.TailOptions) { o.FromEnd = true }
	src := l.tail(fromEnd)
	stop := start(t, src, s)
	connected(t, src)
	l.say(" here\n")
	s.check(t, "begun here")
	stop()
	l.say("while it was off\n")
	start(t, l.tail(fromEnd), s)
	s.check(t, "begun here", "while it was off")
}

func connected(t *testing.T, src statuser) {
	t.Helper()
	noted(t, src, "connected", func(string) bool { return src.Status().Connected })
}

// long is a line of many bytes, so that a file has a head that tells it apart.
func long(what string) string { return strings.Repeat(what+" ", 100) }

func TestTailAcrossRotation(t *testing.T) {
	for name, rotate := range map[string]func(l *logFile){
		"renamed":            func(l *logFile) { l.rename(".1") },
		"renamed with date":  func(l *logFile) { l.rename("-20260131") },
		"copied and emptied": func(l *logFile) { l.copyTruncate(".1") },
		"renamed twice": func(l *logFile) {
			l.rename(".1")
			before := time.Now().Add(-time.Second) // two rotations are not of one tick of the clock
			if err := os.Chtimes(l.path+".1", before, before); err != nil {
				l.t.Fatal(err)
			}
			l.say("between\n")
			if err := os.Rename(l.path+".1", l.path+".2"); err != nil {
				l.t.Fatal(err)
			}
			l.rename(".1")
		},
	} {
		for _, running := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, running %v", name, running), func(t *testing.T) {
				l, s := newLogFile(t), &sink{keep: true}
				want := []string{long("first"), "second", "last of the old", "first of the new"}
				if name == "renamed twice" {
					want = []string{long("first"), "second", "last of the old", "between", "first of the new"}
				}
				l.say(want[0] + "\nsecond\n")
				stop := start(t, l.tail(), s)
				s.wait(t, 2)
				if !running {
					stop()
				}
				l.say("last of the old\n")
				rotate(l)
				if running && name == "renamed" {
					f, err := os.OpenFile(l.path+".1", os.O_APPEND|os.O_WRONLY, 0)
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprint(f, "still into the old") // by a program that has not noticed yet
					f.Close()
					want = slices.Insert(want, 3, "still into the old")
				}
				if !running {
					start(t, l.tail(), s)
				}
				l.say("first of the new\n")
				s.check(t, want...)
				l.say("goes on\n")
				s.check(t, append(want, "goes on")...)
			})
		}
	}
}

// TestTailTruncatedInALine: the rest of what was begun is not awaited at the old
// place.
func TestTailTruncatedInALine(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	l.say("one\nbegun and never ended")
	start(t, l.tail(), s)
	s.check(t, "one")
	must(t, os.Truncate(l.path, 0))
	l.say("two, longer\n")
	s.check(t, "one", "two, longer")
}

// TestTailOfAFileThatIsGone: what was not read is lost, and that is told.
func TestTailOfAFileThatIsGone(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	l.say("one\n")
	stop := start(t, l.tail(), s)
	s.wait(t, 1)
	stop()
	l.rename(".kept")
	l.say("of another\n")
	src := l.tail()
	start(t, src, s)
	s.check(t, "one", "of another")
	noted(t, src, "the loss", func(note string) bool { return strings.Contains(note, "gone before all of it was read") })
}

// TestTailWaitsForTriggers: lines that nobody wants yet are not passed over.
func TestTailWaitsForTriggers(t *testing.T) {
	l, s := newLogFile(t), &sink{keep: true}
	l.say("one\n")
	src := l.tail()
	src.Follow(nil)
	start(t, src, s)
	noted(t, src, "no trigger", func(note string) bool { return note == "not read: no trigger uses it" })
	src.Follow(follow("log"))
	s.check(t, "one")
	src.Follow(nil)
	l.say("two\n")
	noted(t, src, "no trigger", func(note string) bool { return note == "not read: no trigger uses it" })
	src.Follow(follow("log"))
	s.check(t, "one", "two")
}

func TestNewTailRefuses(t *testing.T) {
	for _, o := range []sensors.TailOptions{{Name: "a b", Path: "x"}, {Name: "a"}} {
		if _, err := sensors.NewTail(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
