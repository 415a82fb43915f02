package codecache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/skerry-edge/skerry/wasm/codecache"
)

// compile does what the caller of Prepare does: it gives the entry to a runtime.
func (b *bench) compile(e *codecache.Entry) error {
	b.t.Helper()
	config := codecache.RuntimeConfig(false)
	if e.Compiled {
		config = config.WithCompilationCache(b.Cache())
	}
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	_, err := rt.CompileModule(ctx, e.Module)
	return errors.Join(err, rt.Close(ctx))
}

// use prepares and compiles a module, and tells whether it was made now.
func (b *bench) use(module []byte) (made bool) {
	b.t.Helper()
	e, made := b.prepare(module)
	if err := b.compile(e); err != nil {
		b.t.Errorf("compile: %v", err)
	}
	return made
}

// compiles tells whether wazero has a compiler for this platform.
const compiles = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// numbered is a small module, different for each n.
func numbered(n int) []byte {
	return module(body("\x41", string(u32(n&63)), "\x1a"), body(strings.Repeat("\x01", n+1)))
}

// part returns the path of the one file in dir that matches, such as "*/seal".
func part(t testing.TB, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "engine-*", pattern))
	if err != nil || len(paths) != 1 {
		t.Fatalf("%d files match %s (%v), want 1", len(paths), pattern, err)
	}
	return paths[0]
}

// Places of the parts of an entry; the brackets keep "live" out.
const (
	anySeal   = "[0-9a-f]*[0-9a-f]/seal"
	anyModule = "[0-9a-f]*[0-9a-f]/module.wasm"
	anyCode   = "[0-9a-f]*[0-9a-f]/wazero-*/*"
	liveCode  = "live/wazero-*/*"
)

func TestRestartCompilesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "code")
	first := open(t, codecache.Options{Dir: dir})
	if !first.use(example(t, "overheat")) {
		t.Error("nothing was made at first")
	}
	want, _ := first.prepare(example(t, "overheat"))
	first.stop()
	code := state(t, dir, anyCode)

	second := open(t, codecache.Options{Dir: dir})
	got, made := second.prepare(example(t, "overheat"))
	if made {
		t.Error("made again after a restart")
	}
	if got.Compiled != compiles || string(got.Module) != string(want.Module) || strings.Join(got.Globals, ",") != strings.Join(want.Globals, ",") || got.Impure != want.Impure {
		t.Error("the entry from disk is not the one that was made")
	}
	if err := second.compile(got); err != nil {
		t.Error(err)
	}
	if state(t, dir, liveCode) != code {
		t.Error("the runtime compiled although the code is kept")
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want mode 0700", info.Mode(), err)
	}
}

// state tells versions of files apart.
func state(t testing.TB, dir, pattern string) (all string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "engine-*", pattern))
	if err != nil || (len(paths) == 1) != compiles {
		t.Fatalf("%d files match %s (%v)", len(paths), pattern, err)
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		all += fmt.Sprintln(filepath.Base(path), info.ModTime(), info.Size())
	}
	return all
}

// change returns damage that rewrites the one file that matches.
func change(pattern string, edit func(b []byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		path := part(t, dir, pattern)
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, edit(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func flip(at int) func(b []byte) []byte {
	return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
}

func half(b []byte) []byte { return b[:len(b)/2] }

func empty([]byte) []byte { return nil }

func remove(pattern string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		if err := os.RemoveAll(part(t, dir, pattern)); err != nil {
			t.Fatal(err)
		}
	}
}

// damages are what disks, crashes and people do to an entry.
var damages = map[string]func(t *testing.T, dir string){
	"bit in the code":             change(anyCode, flip(-40)),
	"bit in the head of the code": change(anyCode, flip(16)),
	"code cut":                    change(anyCode, half),
	"code empty":                  change(anyCode, empty),
	"code longer":                 change(anyCode, func(b []byte) []byte { return append(b, 0) }),
	"no code":                     remove(anyCode),
	"no folder of code":           remove("[0-9a-f]*[0-9a-f]/wazero-*"),
	"bit in the module":           change(anyModule, flip(-9)),
	"module cut":                  change(anyModule, half),
	"no module":                   remove(anyModule),
	"bit in the seal's sum":       change(anySeal, flip(3)),
	"bit in the seal":             change(anySeal, flip(-3)),
	"seal cut":                    change(anySeal, half),
	"seal empty":                  change(anySeal, empty),
	"no seal":                     remove(anySeal),
	"file too many beside the code": func(t *testing.T, dir string) {
		code := part(t, dir, anyCode)
		if err := os.WriteFile(filepath.Join(filepath.Dir(code), strings.Repeat("0", 64)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"link for code": func(t *testing.T, dir string) {
		code := part(t, dir, anyCode)
		if err := errors.Join(os.Rename(code, filepath.Join(dir, "elsewhere")), os.Symlink(filepath.Join(dir, "elsewhere"), code)); err != nil {
			t.Fatal(err)
		}
	},
	"folder for seal": func(t *testing.T, dir string) {
		seal := part(t, dir, anySeal)
		if err := errors.Join(os.Remove(seal), os.Mkdir(seal, 0o700)); err != nil {
			t.Fatal(err)
		}
	},
	"entry of another module": func(t *testing.T, dir string) {
		entry := filepath.Dir(part(t, dir, anySeal))
		kept := filepath.Join(dir, "kept")
		if err := os.Rename(entry, kept); err != nil {
			t.Fatal(err)
		}
		s := open(t, codecache.Options{Dir: dir})
		s.use(numbered(1))
		s.stop()
		other := filepath.Dir(part(t, dir, anySeal))
		if err := errors.Join(os.RemoveAll(kept), os.Rename(other, entry)); err != nil {
			t.Fatal(err)
		}
	},
}

func TestDamageHeals(t *testing.T) {
	for name, damage := range damages {
		if strings.Contains(name, "code") && !compiles {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, codecache.Options{Dir: dir})
			s.use(example(t, "overheat"))
			s.stop()
			damage(t, dir)

			s = open(t, codecache.Options{Dir: dir})
			if !s.use(example(t, "overheat")) {
				t.Error("a damaged entry was used")
			}
			if n := s.logs.count("cannot be used"); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
			s.stop()
			s = open(t, codecache.Options{Dir: dir})
			if s.use(example(t, "overheat")) {
				t.Error("not healed: made again after the next start")
			}
		})
	}
}

func TestAnotherKeyIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir})
	s.use(example(t, "overheat"))
	s.stop()
	s = open(t, codecache.Options{Dir: dir, Key: []byte("the key of quite another device!")})
	if !s.use(example(t, "overheat")) {
		t.Error("what another device made was used")
	}
}

// TestDamageAfterPrepare is damage that comes between the check and the runtime.
func TestDamageAfterPrepare(t *testing.T) {
	if !compiles {
		return // nothing is read from disk after the check
	}
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir})
	e, _ := s.prepare(example(t, "overheat"))
	if err := os.Truncate(part(t, dir, anyCode), 9); err != nil {
		t.Fatal(err)
	}
	if err := s.compile(e); err == nil {
		t.Fatal("the runtime took what was cut off")
	}
	s.Forget(digestOf(example(t, "overheat")))
	if !s.use(example(t, "overheat")) {
		t.Error("not made again")
	}
	if s.use(example(t, "overheat")) {
		t.Error("made a third time")
	}
}

func TestOpeningRemovesLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"tmp-123/wazero-v1", "engine-0123456789abcdef/00/wazero-v1", "wazero-v1.2.0-amd64-linux"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, codecache.Options{Dir: dir})
	s.use(numbered(0))
	all, err := os.ReadDir(dir)
	if err != nil || len(all) != 1 || !strings.HasPrefix(all[0].Name(), "engine-") {
		t.Errorf("%v, %v; want the folder of this engine alone", all, err)
	}
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir})
	s.use(numbered(0))
	size := sizeOf(t, dir)
	s.stop()

	opts := codecache.Options{Dir: t.TempDir(), Size: 3*size + size/2}
	for _, n := range []int{0, 1, 2, 0, 3} { // each after a restart, so that none is in use
		s := open(t, opts)
		s.use(numbered(n))
		s.stop()
	}
	s = open(t, opts)
	for n, made := range map[int]bool{0: false, 2: false, 3: false} {
		if s.use(numbered(n)) != made {
			t.Errorf("module %d: made is %t", n, !made)
		}
	}
	// All three are in use now, so there is no room, and that stops nothing.
	if !s.use(numbered(1)) {
		t.Error("module 1 was not the one to go")
	}
	if s.logs.count("is not kept") != 1 {
		t.Error("the log does not say that there is no room")
	}
	if got := sizeOf(t, opts.Dir); got > opts.Size {
		t.Errorf("%d bytes are kept, at most %d may be", got, opts.Size)
	}
}

// TestClosedEntriesMayGo frees room without a restart.
func TestClosedEntriesMayGo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir})
	s.use(numbered(0))
	opts := codecache.Options{Dir: t.TempDir(), Size: sizeOf(t, dir) * 3 / 2}
	s = open(t, opts)
	e, _ := s.prepare(numbered(0))
	e.Close()
	e.Close() // does no harm
	s.use(numbered(1))
	if s.use(numbered(1)) {
		t.Error("not kept although another entry could have gone")
	}
}

// sizeOf is the size of the files that are kept, without links to them.
func sizeOf(t *testing.T, dir string) (size int64) {
	t.Helper()
	for _, pattern := range []string{anySeal, anyModule, anyCode} {
		paths, err := filepath.Glob(filepath.Join(dir, "engine-*", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size += info.Size()
		}
	}
	return size
}

func TestUnusableFolderStopsNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, dir string)
		key   []byte
		log   string
	}{
		"others may write": {spoil: func(t *testing.T, dir string) {
			if err := os.Chmod(dir, 0o770); err != nil {
				t.Fatal(err)
			}
		}, log: "others may write"},
		"in use": {spoil: func(t *testing.T, dir string) {
			open(t, codecache.Options{Dir: dir}).use(numbered(0))
		}, log: "in use by another agent"},
		"a file": {spoil: func(t *testing.T, dir string) {
			if err := errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}, log: "not a directory"},
		"short key": {spoil: func(*testing.T, string) {}, key: []byte("short"), log: "key has 5 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "code")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, dir)
			s := open(t, codecache.Options{Dir: dir, Key: tt.key})
			s.use(numbered(0))
			s.use(numbered(1))
			if s.logs.count("compiled code is not kept") != 1 || s.logs.count(tt.log) != 1 {
				t.Errorf("want one warning with %q, have:\n%s", tt.log, s.logs.buf.String())
			}
		})
	}
}

// TestFolderGoesBadWhileRunning stands for disks that fill up or fail.
func TestFolderGoesBadWhileRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "code")
	s := open(t, codecache.Options{Dir: dir})
	s.use(numbered(0))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if !s.use(numbered(1)) || s.logs.count("is not kept") != 1 {
		t.Errorf("want a module that runs and a warning, have:\n%s", s.logs.buf.String())
	}
}

func TestNothingIsKeptWithoutFolder(t *testing.T) {
	s := open(t, codecache.Options{})
	for range 2 {
		if !s.use(numbered(0)) {
			t.Error("want a module that is made each time")
		}
	}
	if s.logs.count("level=WARN") > 0 {
		t.Error("warned of what was asked for")
	}
}

func TestInterpreterKeepsModules(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		s := open(t, codecache.Options{Dir: dir, Interpret: true})
		e, made := s.prepare(example(t, "overheat"))
		if e.Compiled || made != (i == 0) {
			t.Errorf("start %d: compiled %t, made %t", i, e.Compiled, made)
		}
		rt := wazero.NewRuntimeWithConfig(t.Context(), codecache.RuntimeConfig(true).WithCompilationCache(s.Cache()))
		if _, err := rt.CompileModule(t.Context(), e.Module); err != nil {
			t.Error(err)
		}
		if err := rt.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.stop()
	}
}

// TestManyAskForOne makes a module once for all who wait for it.
func TestManyAskForOne(t *testing.T) {
	s := open(t, codecache.Options{Dir: t.TempDir()})
	bin := example(t, "overheat")
	const askers = 8
	made := make(chan bool, askers)
	for range askers {
		go func() {
			asked := false
			e, err := s.Prepare(t.Context(), digestOf(bin), func() ([]byte, error) { asked = true; return bin, nil })
			if err != nil {
				t.Error(err)
			} else {
				e.Close()
			}
			made <- asked
		}()
	}
	n := 0
	for range askers {
		if <-made {
			n++
		}
	}
	if n != 1 {
		t.Errorf("made %d times", n)
	}
}

func TestModuleThatCannotBeRead(t *testing.T) {
	s := open(t, codecache.Options{Dir: t.TempDir()})
	gone := errors.New("gone")
	if _, err := s.Prepare(t.Context(), "sha256:00", func() ([]byte, error) { return nil, gone }); !errors.Is(err, gone) {
		t.Errorf("%v, want what the caller said", err)
	}
}

func TestClosedStore(t *testing.T) {
	s := open(t, codecache.Options{Dir: t.TempDir()})
	s.use(numbered(0))
	s.stop()
	if _, err := s.Prepare(t.Context(), "sha256:00", nil); err == nil {
		t.Error("a closed store prepared a module")
	}
}

// TestNoHardLinks keeps code where a file has one name.
func TestNoHardLinks(t *testing.T) {
	codecache.WithoutHardLinks(t)
	dir := t.TempDir()
	for i := range 3 {
		s := open(t, codecache.Options{Dir: dir})
		if made := s.use(example(t, "overheat")); made != (i == 0) {
			t.Errorf("start %d: made is %t", i, made)
		}
		if s.logs.count("level=WARN") > 0 {
			t.Errorf("start %d: %s", i, s.logs.buf.String())
		}
		if i == 2 {
			s.Forget(digestOf(example(t, "overheat")))
			if left, err := filepath.Glob(filepath.Join(dir, "engine-*", liveCode)); len(left) > 0 {
				t.Errorf("forgotten code is still there: %v, %v", left, err)
			}
		}
		s.stop()
	}
}

// TestNoHardLinksHalveTheSize counts the copies too.
func TestNoHardLinksHalveTheSize(t *testing.T) {
	dir := t.TempDir()
	s := open(t, codecache.Options{Dir: dir})
	s.use(numbered(0))
	size := sizeOf(t, dir)
	codecache.WithoutHardLinks(t)
	s = open(t, codecache.Options{Dir: t.TempDir(), Size: size * 3 / 2})
	if s.use(numbered(0)); s.logs.count("is not kept") != 1 {
		t.Errorf("an entry and its copy are larger than allowed, have:\n%s", s.logs.buf.String())
	}
}

// TestDiskIsTakenWhenItIsFree starts while the agent before still has the folder.
func TestDiskIsTakenWhenItIsFree(t *testing.T) {
	dir := t.TempDir()
	before := open(t, codecache.Options{Dir: dir})
	before.use(numbered(0))
	s := open(t, codecache.Options{Dir: dir})
	for range 2 {
		if !s.use(numbered(0)) {
			t.Error("what another agent may write was used")
		}
	}
	before.stop()
	if s.use(numbered(0)) || !s.use(numbered(1)) || s.use(numbered(1)) {
		t.Error("nothing is kept although the folder is free")
	}
	if s.logs.count("compiled code is not kept") != 1 || s.logs.count("is kept from now on") != 1 {
		t.Errorf("want one line for each change, have:\n%s", s.logs.buf.String())
	}
}

// TestCloseThatCannotWait gives the folder free while a module is being made,
// which then harms nobody.
func TestCloseThatCannotWait(t *testing.T) {
	dir, gate := t.TempDir(), filepath.Join(t.TempDir(), "gate")
	self, err := os.Executable()
	if err := errors.Join(err, syscall.Mkfifo(gate, 0o600)); err != nil {
		t.Fatal(err)
	}
	child := []string{"/bin/sh", "-c", `read line < "$0"; exec "$@"`, gate, self, childCommand}
	s := codecache.Open(codecache.Options{Dir: dir, Key: key, Child: child, Log: slog.New(slog.DiscardHandler)})
	made := make(chan error, 1)
	go func() {
		e, err := s.Prepare(context.Background(), digestOf(numbered(0)), func() ([]byte, error) { return numbered(0), nil })
		if err == nil {
			if e.Compiled {
				err = errors.New("it was kept in a folder that is another agent's")
			}
			e.Close()
		}
		made <- err
	}()
	eventually(t, "a module that is being made", func() bool { return len(temporary(t, dir)) > 0 })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the caller's reason", err)
	}
	next := open(t, codecache.Options{Dir: dir})
	if !next.use(numbered(1)) || next.use(numbered(1)) || next.logs.count("level=WARN") > 0 {
		t.Errorf("want a store that keeps, have:\n%s", next.logs.buf.String())
	}
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if err := <-made; err != nil {
		t.Error(err)
	}
	if next.use(numbered(1)) || !next.use(numbered(0)) {
		t.Error("the module that came late changed what is kept")
	}
}

// TestCancelEndsTheChild gives up waiting for a module that takes long.
func TestCancelEndsTheChild(t *testing.T) {
	s := open(t, codecache.Options{Dir: t.TempDir(), Child: shell("sleep 600")})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := s.Prepare(ctx, "", func() ([]byte, error) { return nil, nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the caller's deadline", err)
	}
}
