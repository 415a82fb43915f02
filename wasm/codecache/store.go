package codecache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Options may be left zero: nothing is kept then, and this process compiles.
type Options struct {
	Dir       string        // where results are kept; must belong to the agent alone, for it holds native code. "" keeps nothing
	Key       []byte        // secret of the device, at least 32 bytes, that seals what is kept
	Size      int64         // bytes kept at most; 0 means 256 MiB
	Child     []string      // command that runs Main in a process of its own, such as {"/proc/self/exe", "compile-module"}; nil compiles in this process, without limits
	Memory    int64         // resident bytes of that process at most; 0 means half of the device's, and at most 512 MiB
	Time      time.Duration // processor time of that process at most; 0 means 2 min. A busy device may take ten times as long
	Interpret bool          // use the interpreter also where the compiler works; 32-bit ARM has nothing else
	Log       *slog.Logger  // nil means slog.Default
}

// Store prepares modules for running. It is safe for concurrent use.
type Store struct {
	opts Options
	slot chan struct{} // held by who compiles

	mu     sync.Mutex // guards what follows, and the entries on disk
	closed bool
	memory wazero.CompilationCache // what Cache gives without a disk; nil until then
	disk   *disk                   // nil until it is needed, and while nothing can be kept
	warned bool                    // that nothing can be kept
	uses   map[string]int          // open entries by name
}

// Entry is a module that is ready to run.
type Entry struct {
	Module  []byte   // rewritten: what the runtime is given to compile
	Globals []string // see instrument.Result
	Impure  bool     // see instrument.Result

	// Compiled says that the runtime finds native code for Module in Cache. If
	// not, there is no compiler for this platform or the disk took nothing, and
	// the runtime translates Module by itself, within about Options.Memory and
	// Options.Time, as was tried: do that late, one at a time, and in a runtime
	// without Cache, because wazero fails where it cannot write.
	Compiled bool

	close func()
}

var errClosed = errors.New("the store of compiled code is closed")

// Open returns a store. It reads nothing before it is asked for something.
func Open(opts Options) *Store {
	opts.Size = cmp.Or(opts.Size, 256<<20)
	opts.Memory = cmp.Or(opts.Memory, defaultMemory())
	opts.Time = cmp.Or(opts.Time, 2*time.Minute)
	opts.Log = cmp.Or(opts.Log, slog.Default())
	return &Store{opts: opts, slot: make(chan struct{}, 1), uses: map[string]int{}}
}

// Prepare returns the module with the given digest, ready to run: from disk if
// it is there and intact, else made from what module returns, which must have
// been checked against the digest. One module is made at a time, others wait.
// Errors are sentences for who deployed the module. Close the entry when no
// runtime uses its code any more.
func (s *Store) Prepare(ctx context.Context, digest string, module func() ([]byte, error)) (*Entry, error) {
	if e, err := s.load(digest); e != nil || err != nil {
		return e, err
	}
	select {
	case s.slot <- struct{}{}:
		defer func() { <-s.slot }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if e, err := s.load(digest); e != nil || err != nil {
		return e, err // somebody made it meanwhile
	}
	bin, err := module()
	if err != nil {
		return nil, err
	}
	return s.make(ctx, digest, bin)
}

// Cache is what the wazero runtime is configured with, on top of RuntimeConfig,
// to find the code of entries that are Compiled. Ask for it after Prepare gave
// the first of them: before, it may be one that finds nothing.
func (s *Store) Cache() wazero.CompilationCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open(); s.disk != nil {
		return s.disk.cache
	}
	if s.memory == nil {
		s.memory = wazero.NewCompilationCache()
	}
	return s.memory
}

// Forget drops what is kept for a digest because the runtime could not use it;
// the next Prepare makes it again. Entries that are open go on running.
func (s *Store) Forget(digest string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disk == nil {
		return
	}
	if err := s.disk.drop(entryName(digest)); err != nil {
		s.opts.Log.Warn("cannot remove compiled code", "module", digest, "err", err)
	}
}

// Close says that nobody uses the entry's code any more, so that it may be
// dropped when room is needed.
func (e *Entry) Close() {
	if e.close != nil {
		e.close()
	}
}

// Close waits for what is being made and releases the disk. When ctx ends
// first, that is an error, and the disk is released all the same: what is being
// made then is not kept. Runtimes that use Cache must have been closed before.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var errs []error
	select {
	case s.slot <- struct{}{}:
		defer func() { <-s.slot }()
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("close the store of compiled code: %w", ctx.Err()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disk != nil {
		errs = append(errs, s.disk.cache.Close(ctx), s.disk.close())
		s.disk = nil
	}
	if s.memory != nil {
		errs = append(errs, s.memory.Close(ctx))
		s.memory = nil
	}
	return errors.Join(errs...)
}

// open takes the disk, and tries again each time while that fails: an agent that
// hands over to this one has it for a while. The caller holds s.mu.
func (s *Store) open() {
	if s.disk != nil || s.opts.Dir == "" || s.closed {
		return
	}
	d, err := openDisk(s.opts)
	switch {
	case err == nil && s.warned:
		s.opts.Log.Info("compiled code is kept from now on", "dir", s.opts.Dir)
	case err != nil && !s.warned:
		s.opts.Log.Warn("compiled code is not kept: every start of the agent compiles again", "dir", s.opts.Dir, "err", err)
	}
	s.disk, s.warned = d, err != nil
}

// load returns the entry of a digest from disk, nil if there is none of use.
func (s *Store) load(digest string) (*Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.open(); s.disk == nil {
		return nil, nil
	}
	e, err := s.disk.load(digest)
	if err != nil {
		s.opts.Log.Warn("compiled code on disk cannot be used, compiling again", "module", digest, "err", err)
		if err := s.disk.drop(entryName(digest)); err != nil {
			s.opts.Log.Warn("cannot remove compiled code", "module", digest, "err", err)
		}
	}
	if e != nil {
		s.acquire(e, digest)
	}
	return e, nil
}

// make makes an entry, and keeps it if it can. The caller holds s.slot.
func (s *Store) make(ctx context.Context, digest string, bin []byte) (*Entry, error) {
	began := time.Now()
	d, work, noWork := s.workFolder()
	if work != "" {
		defer os.RemoveAll(work)
	}
	out, err := s.translate(ctx, work, bin)
	if err != nil {
		return nil, err
	}
	s.opts.Log.Info("module prepared", "module", digest, "took", time.Since(began).Round(time.Millisecond))
	e := &Entry{Module: out.module, Globals: out.Globals, Impure: out.Impure}
	err = cmp.Or(noWork, out.unkept())
	if err == nil && work != "" {
		err = s.keep(d, work, digest, e)
	}
	if err != nil {
		s.opts.Log.Warn("compiled code is not kept: the agent compiles it itself, again at every start", "module", digest, "dir", s.opts.Dir, "err", err)
	}
	return e, nil
}

// workFolder makes a folder on d for what is being made; it is "" if nothing is kept.
func (s *Store) workFolder() (d *disk, work string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disk == nil {
		return nil, "", nil
	}
	work, err = os.MkdirTemp(s.disk.dir, tempPrefix)
	return s.disk, work, err
}

// keep makes e, whose native code is in the folder work, an entry on d.
func (s *Store) keep(d *disk, work, digest string, e *Entry) error {
	if err := writeDurably(filepath.Join(work, moduleFile), e.Module); err != nil {
		return err
	}
	sealed := seal{Digest: digest, Engine: d.engine, Globals: e.Globals, Impure: e.Impure}
	size, err := writeSeal(work, d.key, sealed)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.disk != d { // Close did not wait, and the folder may be another agent's
		return errClosed
	}
	inUse := func(name string) bool { return s.uses[name] > 0 }
	compiled, err := d.keep(work, size, digest, inUse)
	if err != nil {
		return err
	}
	e.Compiled = compiled
	s.acquire(e, digest)
	return nil
}

// acquire makes e an open entry. The caller holds s.mu.
func (s *Store) acquire(e *Entry, digest string) {
	name := entryName(digest)
	s.uses[name]++
	e.close = sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.uses[name]--; s.uses[name] == 0 {
			delete(s.uses, name)
		}
	})
}
