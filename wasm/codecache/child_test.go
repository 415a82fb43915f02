package codecache_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// refusal is the error of preparing a module with these options.
func refusal(t *testing.T, opts codecache.Options, bin []byte) string {
	t.Helper()
	s := open(t, opts)
	e, err := s.Prepare(t.Context(), digestOf(bin), func() ([]byte, error) { return bin, nil })
	if err == nil {
		e.Close()
		t.Fatal("the module was accepted")
	}
	return err.Error()
}

// shell is a compiling process that runs a script instead.
func shell(script string) []string { return []string{"/bin/sh", "-c", script} }

// TestRefusals shows what a user reads: the limit, and what to do.
func TestRefusals(t *testing.T) {
	golang := example(t, "convert")
	for name, tt := range map[string]struct {
		opts   codecache.Options
		module []byte
		want   string
	}{
		"memory":        {codecache.Options{Memory: 24 << 20}, golang, "module needs more than 24 MiB of memory to compile; build it with optimisation for size, or split large functions"},
		"time":          {codecache.Options{Time: 300 * time.Millisecond, Child: shell("while :; do :; done")}, golang, "module needs more than 300ms of processor time to compile; build it with optimisation for size, or split large functions"},
		"processor":     {codecache.Options{Child: shell("kill -XCPU $$")}, golang, "module needs more than 2m0s of processor time to compile; build it with optimisation for size, or split large functions"},
		"address space": {codecache.Options{Child: shell("echo fatal error: runtime: out of memory >&2; exit 2")}, golang, "module needs more than 512 MiB of memory to compile; build it with optimisation for size, or split large functions"},
		"killed":        {codecache.Options{Child: shell("kill -KILL $$")}, golang, "compiling the module was ended by the system, most likely because the device has too little free memory; free some, or build the module with optimisation for size"},
		"busy":          {codecache.Options{Child: shell("exec sleep 600"), Time: 50 * time.Millisecond}, golang, "the device was too busy to compile the module within 500ms; deploy it again when there is less to do"},
		"crash":         {codecache.Options{Child: shell("echo fatal error: oh >&2; exit 2")}, golang, "the compiler crashed on the module (exit status 2: fatal error: oh); build it again, with another version of its tools"},
		"empty output":  {codecache.Options{Child: shell("exit 0")}, golang, "read what the compiling process made: unexpected end of JSON input"},
		"no process":    {codecache.Options{Child: []string{"/nothing/here"}}, golang, "start the compiling process: fork/exec /nothing/here: no such file or directory; it needs /proc and room for one more process"},
		"own words":     {codecache.Options{Child: shell("echo the module is strange >&2; exit 1")}, golang, "the module is strange"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.opts.Dir = t.TempDir()
			if got := refusal(t, tt.opts, tt.module); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if left := temporary(t, tt.opts.Dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestEndlessOutputOfTheChild(t *testing.T) {
	for name, script := range map[string]string{
		"output": "exec cat /dev/zero",
		"errors": "exec cat /dev/zero >&2",
	} {
		t.Run(name, func(t *testing.T) {
			before := resident(t)
			refusal(t, codecache.Options{Child: shell(script), Time: time.Second}, numbered(0))
			if grown := resident(t) - before; grown > 1<<30 {
				t.Errorf("this process grew by %d MiB", grown>>20)
			}
		})
	}
}

// unwritable is a compiling process whose folder takes nothing.
func unwritable(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := `for a; do case $a in -folder=*) f=${a#-folder=}; rmdir $f; echo > $f;; esac; done; exec "$0" "$@"`
	return []string{"/bin/sh", "-c", script, self, childCommand}
}

// TestChildCannotWriteItsCode stands for a disk that fills up meanwhile.
func TestChildCannotWriteItsCode(t *testing.T) {
	s := open(t, codecache.Options{Dir: t.TempDir(), Child: unwritable(t)})
	if !s.use(numbered(0)) || s.logs.count("is not kept") != 1 {
		t.Errorf("want a module that runs and a warning, have:\n%s", s.logs.buf.String())
	}
}

// TestCodeBeyondTheSize ends the writing of native code that would not be kept,
// and the module runs.
func TestCodeBeyondTheSize(t *testing.T) {
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir, Size: 20 << 10})
	if !s.use(module(repeat(2000, body("\x41\x00\x28\x02\x00\x1a"))...)) || s.logs.count("is not kept") != 1 || s.logs.count("file too large") != 1 {
		t.Errorf("want a module that runs and a warning, have:\n%s", s.logs.buf.String())
	}
	if left := temporary(t, dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestFullDiskKeepsTheLimits gives what this process must not compile to a child
// that cannot keep it.
func TestFullDiskKeepsTheLimits(t *testing.T) {
	got := refusal(t, codecache.Options{Dir: t.TempDir(), Child: unwritable(t), Memory: 128 << 20}, bombs["locals at the limit"]())
	if !strings.Contains(got, "more than 128 MiB") {
		t.Errorf("%q", got)
	}
}

func TestChildGetsNoEnvironment(t *testing.T) {
	t.Setenv("SKERRY_TEST_SECRET", "secret")
	got := refusal(t, codecache.Options{Child: shell("echo secret=$SKERRY_TEST_SECRET in $PWD >&2; exit 1")}, numbered(0))
	if got != "secret= in /" {
		t.Errorf("%q", got)
	}
}

// TestChildConfinesItself looks at the process while it waits for its module.
func TestChildConfinesItself(t *testing.T) {
	inherited, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer inherited.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, childCommand, "-memory=1048576", "-size=12345678", "-time=7s")
	cmd.ExtraFiles = []*os.File{inherited} // is descriptor 3 there
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	eventually(t, "limits", func() bool {
		limits := words(t, filepath.Join(proc, "limits"))
		return strings.Contains(limits, "Max cpu time 9 9 seconds") &&
			strings.Contains(limits, "Max core file size 0 0 bytes") &&
			strings.Contains(limits, "Max file size 12345678 12345678 bytes") &&
			!strings.Contains(limits, "Max address space unlimited")
	})
	if got := words(t, filepath.Join(proc, "oom_score_adj")); got != "1000" {
		t.Errorf("oom_score_adj is %s", got)
	}
	stats, err := filepath.Glob(filepath.Join(proc, "task", "*", "stat"))
	if err != nil || len(stats) == 0 {
		t.Errorf("threads: %v, %v", stats, err)
	}
	for _, stat := range stats {
		if nice := strings.Fields(words(t, stat))[18]; nice != "10" {
			t.Errorf("%s is at nice %s", stat, nice)
		}
	}
	if target, err := os.Readlink(filepath.Join(proc, "fd", "3")); target == os.DevNull {
		t.Errorf("it kept what it inherited: %v, %v", target, err)
	}
	if err := stdin.Close(); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it accepted an empty module")
	}
}

// TestChildDiesWithItsParent kills an agent that is having a module compiled.
func TestChildDiesWithItsParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(self, parentCommand)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	var child string
	eventually(t, "a compiling process", func() bool {
		child = childOf(t, agent.Process.Pid)
		return child != ""
	})
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err == nil {
		t.Fatal("the agent was done before it was killed")
	}
	eventually(t, "the end of the compiling process", func() bool {
		state, err := os.ReadFile(filepath.Join("/proc", child, "stat"))
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

// childOf is the number of the one process that pid started, "" if there is none.
func childOf(t *testing.T, pid int) string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it ended meanwhile
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			return filepath.Base(filepath.Dir(stat))
		}
	}
	return ""
}

// words is a file with single blanks.
func words(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// eventually waits until ok, and fails if that takes unreasonably long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain for " + what)
		}
	}
}

// TestCutModules gives every beginning of a module, in this process.
func TestCutModules(t *testing.T) {
	s := codecache.Open(codecache.Options{Log: slog.New(slog.DiscardHandler)})
	bin := example(t, "overheat")
	for n := range bin {
		if e, err := s.Prepare(t.Context(), fmt.Sprint(n), func() ([]byte, error) { return bin[:n], nil }); err != nil {
			checkSentence(t, err)
		} else {
			e.Close()
		}
	}
}

func checkSentence(t *testing.T, err error) {
	t.Helper()
	if msg := err.Error(); msg == "" || len(msg) > 500 || strings.ContainsFunc(msg, unicode.IsControl) {
		t.Errorf("%q is no sentence", msg)
	}
}

// FuzzPrepare looks for modules that crash this process although panics are
// caught.
func FuzzPrepare(f *testing.F) {
	f.Add(example(f, "overheat"))
	f.Add(numbered(3))
	f.Add(bytes.Replace(example(f, "overheat"), []byte("publish"), []byte("\x1b[31m\n\n"), 1)) // in a name
	f.Fuzz(func(t *testing.T, bin []byte) {
		s := codecache.Open(codecache.Options{Log: slog.New(slog.DiscardHandler)})
		if _, err := s.Prepare(t.Context(), "", func() ([]byte, error) { return bin, nil }); err != nil {
			checkSentence(t, err)
		}
	})
}
