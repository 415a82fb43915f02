package sensors_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// spool is a directory that programs write to.
type spool struct {
	t    *testing.T
	dir  string
	memo *notes
}

func newSpool(t *testing.T) *spool { return &spool{t, t.TempDir(), &notes{}} }

func (d *spool) path(name string) string { return filepath.Join(d.dir, name) }

// write puts text into a file at once: nobody sees it empty.
func (d *spool) write(name, text string) {
	d.t.Helper()
	must(d.t, os.MkdirAll(filepath.Dir(d.path(name)), 0o700))
	whole := write(d.t, filepath.Join(d.t.TempDir(), "whole"), text)
	must(d.t, os.Rename(whole, d.path(name)))
}

// must checks what a call returned.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// files makes the source "in" that watches the directory.
func (d *spool) files(more ...func(*sensors.FilesOptions)) *sensors.Files {
	d.t.Helper()
	opts := sensors.FilesOptions{Name: "in", Device: "gw7", Path: d.dir, Poll: 5 * time.Millisecond, Notes: d.memo, Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	src, err := sensors.NewFiles(opts)
	must(d.t, err)
	src.Follow(follow("in"))
	return src
}

// ops are what was offered, as "op path".
func (s *sink) ops(t *testing.T, n int) (ops []string) {
	t.Helper()
	for _, o := range s.wait(t, n) {
		var e struct{ Op, Path, From string }
		must(t, json.Unmarshal(o.Data, &e))
		if o.Type != "io.skerry.file."+e.Op || o.Via != "in" || o.QoS != 1 || o.Source != "/gw7/files/in" {
			t.Errorf("event %+v", o.Event)
		}
		ops = append(ops, strings.TrimSpace(e.Op+" "+e.Path+" "+e.From))
	}
	return ops
}

func (s *sink) wantOps(t *testing.T, want ...string) {
	t.Helper()
	if got := s.ops(t, len(want)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func everything(o *sensors.FilesOptions) {
	o.On = []sensors.FileOp{sensors.FileCreate, sensors.FileModify, sensors.FileRename, sensors.FileDelete}
}

func TestFilesTellWhatHappened(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	d.write("a.csv", "1")
	start(t, d.files(everything), s)
	s.wantOps(t, "create a.csv")
	d.write("a.csv", "12")
	s.wait(t, 2)
	must(t, os.Rename(d.path("a.csv"), d.path("b.csv")))
	s.wait(t, 3)
	must(t, os.Remove(d.path("b.csv")))
	s.wantOps(t, "create a.csv", "modify a.csv", "rename b.csv a.csv", "delete b.csv")
}

// TestFilesWhileItWasOff: what happened meanwhile is found when it is back, and
// nothing that was told before is told again.
func TestFilesWhileItWasOff(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	for _, name := range []string{"gone", "changed", "renamed", "same", "odd\xff"} {
		d.write(name, name)
	}
	src := d.files(everything)
	stop := start(t, src, s)
	s.wait(t, 5)
	idle(t, src)
	stop()
	must(t, os.Remove(d.path("gone")))
	d.write("changed", "a lot")
	must(t, os.Rename(d.path("renamed"), d.path("name")))
	d.write("new", "new")
	s = &sink{keep: true}
	start(t, d.files(everything), s)
	got := s.ops(t, 4)
	slices.Sort(got)
	if want := []string{"create new", "delete gone", "modify changed", "rename name renamed"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, o := range s.offers() {
		if !o.Origin.Redelivered {
			t.Errorf("%s may have an outcome from before a crash: %+v", o.Subject, o.Origin)
		}
	}
}

// TestFilesWithNotesOfAnotherRelease are new, and do not end the agent.
func TestFilesWithNotesOfAnotherRelease(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	d.write("a", "1")
	stop := start(t, d.files(), s)
	s.wait(t, 1)
	stop()
	for key := range d.memo.values {
		must(t, d.memo.Put(key, []byte(`{"a":"v2"}`)))
	}
	src := d.files()
	start(t, src, s)
	s.wantOps(t, "create a", "create a")
	noted(t, src, "the note", func(note string) bool { return strings.Contains(note, "their files count as new: 1") })
}

// TestFilesWithoutAnOutcome come again, in the same slot and with the same hash.
func TestFilesWithoutAnOutcome(t *testing.T) {
	d, s := newSpool(t), &sink{}
	src := d.files()
	stop := start(t, src, s)
	connected(t, src)
	d.write("a", "1")
	first := s.wait(t, 1)[0]
	if first.Origin.Redelivered {
		t.Errorf("a new file: %+v", first.Origin)
	}
	first.done(errors.New("disk full"))
	s.wait(t, 2)
	stop()
	s = &sink{keep: true}
	start(t, d.files(), s)
	again := s.wait(t, 1)[0]
	if again.Origin.Slot != first.Origin.Slot || again.Origin.Hash != first.Origin.Hash || !again.Origin.Redelivered {
		t.Errorf("comes again as %+v, was %+v", again.Origin, first.Origin)
	}
}

func TestFilesAsData(t *testing.T) {
	outside := write(t, filepath.Join(t.TempDir(), "secret"), "not for events")
	d, s := newSpool(t), &sink{keep: true}
	d.write("a.csv", "1;2")
	d.write("sub/b+c.csv", "3;4")
	d.write("large.csv", "far too large")
	d.write("other.txt", "x")
	d.write(".hidden.csv", "x")
	must(t, os.Symlink(outside, d.path("link.csv")))
	must(t, os.Symlink(filepath.Dir(outside), d.path("dir")))
	must(t, syscall.Mkfifo(d.path("pipe.csv"), 0o600))
	src := d.files(func(o *sensors.FilesOptions) { o.Content, o.Recursive, o.Glob, o.MaxSize = true, true, "*.csv", 5 })
	start(t, src, s)
	noted(t, src, "the large file", func(note string) bool { return note == "files over 5 bytes left alone: 1, the last is large.csv" })
	s.wait(t, 2)
	d.write("last.csv", "end")
	var got []string
	for _, o := range s.wait(t, 3) {
		got = append(got, o.Subject+" "+o.ContentType+" "+string(o.Data))
	}
	slices.Sort(got)
	if want := []string{"a.csv text/csv 1;2", "last.csv text/csv end", "sub/b%2Bc.csv text/csv 3;4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestFilesAreClearedAway once their events are durable, and not before.
func TestFilesAreClearedAway(t *testing.T) {
	done := t.TempDir()
	for name, then := range map[string]func(*sensors.FilesOptions){
		"deleted": func(o *sensors.FilesOptions) { o.Delete = true },
		"moved":   func(o *sensors.FilesOptions) { o.MoveTo, o.Recursive = done, true },
	} {
		t.Run(name, func(t *testing.T) {
			d, s := newSpool(t), &sink{}
			src := d.files(then, func(o *sensors.FilesOptions) { o.Content = true })
			start(t, src, s)
			d.write("a", "one")
			o := s.wait(t, 1)[0]
			if _, err := os.Stat(d.path("a")); err != nil {
				t.Errorf("gone before its event is durable: %v", err)
			}
			o.done(nil)
			cleared := func() error {
				if _, err := os.Stat(d.path("a")); err == nil {
					return errors.New("it is still there")
				}
				return nil
			}
			testbed.Eventually(t, patience, "the file is cleared away", cleared)
			d.write("a", "one") // once more, the same
			s.wait(t, 2)[1].done(nil)
			testbed.Eventually(t, patience, "the second one too", cleared)
		})
	}
	for name, want := range map[string]string{"a": "one", "a.1": "one"} {
		if text, err := os.ReadFile(filepath.Join(done, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

// TestFilesThatChangeAreNotCleared: who writes to a file after its event has
// another event.
func TestFilesThatChangeAreNotCleared(t *testing.T) {
	d, s := newSpool(t), &sink{}
	start(t, d.files(func(o *sensors.FilesOptions) { o.Content, o.Delete = true, true }), s)
	d.write("a", "one")
	first := s.wait(t, 1)[0]
	d.write("a", "one and two")
	first.done(nil)
	if got := s.wait(t, 2)[1]; string(got.Data) != "one and two" || got.Type != "io.skerry.file.modify" {
		t.Errorf("second event %+v", got.Event)
	}
}

// TestFilesSettle: a file that is being written is left alone.
func TestFilesSettle(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	start(t, d.files(func(o *sensors.FilesOptions) { o.Content, o.Settle = true, 150*time.Millisecond }), s)
	began := time.Now()
	d.write("a", "half")
	text := "half"
	testbed.Eventually(t, patience, "it is written for a while", func() error {
		if time.Since(began) < 300*time.Millisecond {
			text += "."
			d.write("a", text)
			return errors.New("not yet")
		}
		return nil
	})
	s.check(t, text)
}

// TestFilesDirectoryComesAndGoes: nothing counts as deleted because a disk is
// not there.
func TestFilesDirectoryComesAndGoes(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	d.dir = d.path("stick")
	src := d.files(everything, func(o *sensors.FilesOptions) { o.Recursive = true })
	start(t, src, s)
	noted(t, src, "no directory", func(note string) bool { return strings.Contains(note, "no such file") })
	d.write("a", "1")
	s.wantOps(t, "create a")
	must(t, os.Rename(d.dir, d.dir+".away"))
	noted(t, src, "no directory", func(note string) bool { return strings.Contains(note, "no such file") })
	must(t, os.Rename(d.dir+".away", d.dir))
	d.write("b", "1")
	s.wantOps(t, "create a", "create b")
}

// TestFilesAreHeldBack: there are 64 events without an outcome at most, and all
// files get their turn.
func TestFilesAreHeldBack(t *testing.T) {
	d, s := newSpool(t), &sink{}
	for n := range 200 {
		d.write(fmt.Sprintf("f%03d", n), "x")
	}
	src := d.files()
	start(t, src, s)
	s.wait(t, 64)
	d.write("one more", "x")
	if n := len(s.offers()); n != 64 || src.Status().Inflight != 64 {
		t.Errorf("%d offered, %d in flight", n, src.Status().Inflight)
	}
	s.mu.Lock()
	s.keep = true
	got := slices.Clone(s.got)
	s.mu.Unlock()
	for _, o := range got {
		o.done(nil)
	}
	seen := map[string]bool{}
	for _, o := range s.wait(t, 201) {
		if seen[o.Subject] {
			t.Errorf("%s came twice", o.Subject)
		}
		seen[o.Subject] = true
	}
}

// TestFilesNobodyWants are left where they are.
func TestFilesNobodyWants(t *testing.T) {
	d, s := newSpool(t), &sink{keep: true}
	d.write("a.csv", "1")
	d.write("b.txt", "1")
	src := d.files(func(o *sensors.FilesOptions) { o.Content, o.Delete = true, true })
	src.Follow(nil)
	start(t, src, s)
	noted(t, src, "no trigger", func(note string) bool { return note == "not read: no trigger uses it" })
	src.Follow([]agent.Trigger{{Name: "app/in", Via: "in", Filter: "a.csv"}})
	s.wait(t, 1)
	d.write("a.csv", "2")
	s.wait(t, 2)
	if _, err := os.Stat(d.path("b.txt")); err != nil {
		t.Errorf("a file that no trigger takes: %v", err)
	}
}

func TestNewFilesRefuses(t *testing.T) {
	for want, o := range map[string]sensors.FilesOptions{
		"path names the directory":    {Name: "a"},
		"is no pattern such as *.csv": {Name: "a", Path: "/in", Glob: "[a"},
		"cannot be deleted and moved": {Name: "a", Path: "/in", Delete: true, MoveTo: "/out"},
		"may only have letters":       {Name: "a/b", Path: "/in"},
		"files moved to path itself":  {Name: "a", Path: "/in", MoveTo: "/in/."},
		"no pattern such as *.csv":    {Name: "a", Path: "/in", Glob: "**/*.csv"},
	} {
		if _, err := sensors.NewFiles(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
