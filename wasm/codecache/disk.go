package codecache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
	"golang.org/x/sys/unix"
)

const (
	enginePrefix = "engine-" // of the folder with the entries of an engine
	tempPrefix   = "tmp-"    // of folders with what is being made
	wazeroPrefix = "wazero-" // of the folder that wazero makes in its cache
	liveFolder   = "live"    // wazero's cache: links to what was verified
)

const minKey = 32 // bytes

// disk is the folder where entries are kept. Its methods are not safe for
// concurrent use.
type disk struct {
	dir    string // Options.Dir
	home   string // the entries of this engine
	engine string
	key    []byte
	size   int64
	copies bool // the file system has no hard links
	lock   *os.File
	cache  wazero.CompilationCache
}

// openDisk takes opts.Dir for this process and removes what crashes and other
// releases left there. Entries are not read.
func openDisk(opts Options) (*disk, error) {
	if len(opts.Key) < minKey {
		return nil, fmt.Errorf("the device's key has %d bytes, and seals need %d", len(opts.Key), minKey)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, err
	}
	if err := own(dir); err != nil {
		return nil, err
	}
	engine := engineID(opts.Interpret)
	d := &disk{dir: dir, home: filepath.Join(dir, enginePrefix+engine), engine: engine, key: opts.Key, size: opts.Size}
	if d.lock, err = lock(dir); err != nil {
		return nil, err
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(err, d.lock.Close())
	}
	return d, nil
}

// own makes dir, and refuses it if it is not the agent's alone.
func own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch mode := info.Mode().Perm(); {
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("%s belongs to another user, who could replace the code in it; give it to the user of the agent", dir)
	case mode&0o022 != 0:
		return fmt.Errorf("others may write to %s (mode %04o) and replace the code in it; empty it and chmod 700 it", dir, mode)
	case mode != 0o700:
		return os.Chmod(dir, 0o700)
	}
	return nil
}

// lock takes dir for this process, until the file is closed.
func lock(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another agent (%w); give each its own", dir, err), f.Close())
	}
	return f, nil
}

// prepare removes leftovers and makes the folders.
func (d *disk) prepare() error {
	all, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range all {
		stale := strings.HasPrefix(e.Name(), enginePrefix) && e.Name() != filepath.Base(d.home)
		if stale || strings.HasPrefix(e.Name(), tempPrefix) || strings.HasPrefix(e.Name(), wazeroPrefix) {
			if err := os.RemoveAll(filepath.Join(d.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	live := filepath.Join(d.home, liveFolder)
	if err := os.MkdirAll(live, 0o700); err != nil {
		return err
	}
	files, err := list(live)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := os.Remove(filepath.Join(live, f.Path)); err != nil {
			return err
		}
	}
	if err := d.probeLinks(live); err != nil {
		return err
	}
	d.cache, err = wazero.NewCompilationCacheWithDir(live)
	return err
}

// hardLink makes a second name of a file. Tests replace it.
var hardLink = os.Link

// probeLinks finds out, in the empty folder live, whether there are hard links.
// Where there are none (FAT, some network file systems), code in use is there
// twice, so that half as much is kept.
func (d *disk) probeLinks(live string) error {
	from, to := filepath.Join(live, "probe"), filepath.Join(live, "probe-link")
	if err := os.WriteFile(from, nil, 0o600); err != nil {
		return err
	}
	if hardLink(from, to) != nil {
		d.copies, d.size = true, d.size/2
	}
	return errors.Join(removeIfThere(to), os.Remove(from))
}

// close releases the folder at once: closing the file alone would leave it locked
// as long as a process that is just being started has a copy.
func (d *disk) close() error {
	return errors.Join(unix.Flock(int(d.lock.Fd()), unix.LOCK_UN), d.lock.Close())
}

// entryName is the name of a digest's folder, whatever the digest contains.
func entryName(digest string) string {
	sum := sha256.Sum256([]byte(digest))
	return hex.EncodeToString(sum[:])
}

func (d *disk) folder(name string) string { return filepath.Join(d.home, name) }

// load returns the entry of a digest after checking all of it, and lets wazero
// find its code. It returns nil, nil if there is none.
func (d *disk) load(digest string) (*Entry, error) {
	dir := d.folder(entryName(digest))
	s, module, err := verify(dir, d.key, digest, d.engine)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	compiled, err := d.link(dir, s.Files)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(filepath.Join(dir, sealFile), now, now) // costs only the order of leaving
	return &Entry{Module: module, Globals: s.Globals, Impure: s.Impure, Compiled: compiled}, nil
}

// link puts the native code of an entry where wazero looks for it.
func (d *disk) link(dir string, files []file) (compiled bool, err error) {
	for _, f := range files {
		if f.Path == moduleFile {
			continue
		}
		live := filepath.Join(d.home, liveFolder, f.Path)
		if err := removeIfThere(live); err != nil {
			return false, err
		}
		if err := d.place(filepath.Join(dir, f.Path), live); err != nil {
			return false, err
		}
		compiled = true
	}
	return compiled, nil
}

// place gives the file from a second name, or a copy.
func (d *disk) place(from, to string) error {
	if !d.copies {
		return hardLink(from, to)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// keep moves the sealed folder work, of size bytes, into place as the entry of a
// digest, and lets wazero find its code. inUse tells which entries must stay.
func (d *disk) keep(work string, size int64, digest string, inUse func(name string) bool) (compiled bool, err error) {
	files, err := list(work)
	if err != nil {
		return false, err
	}
	name := entryName(digest)
	if err := d.drop(name); err != nil {
		return false, err
	}
	if err := d.makeRoom(size, inUse); err != nil {
		return false, err
	}
	if err := os.Rename(work, d.folder(name)); err != nil {
		return false, err
	}
	if err := syncFolder(d.home); err != nil {
		return false, err
	}
	return d.link(d.folder(name), files)
}

// drop removes an entry and the links to its code.
func (d *disk) drop(name string) error {
	dir := d.folder(name)
	files, err := list(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, f := range files {
		if strings.HasPrefix(f.Path, wazeroPrefix) {
			err = errors.Join(err, removeIfThere(filepath.Join(d.home, liveFolder, f.Path)))
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes the names in dir durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
