package sensors

import (
	"cmp"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
)

// maxFiles is how many files are watched at most; more in a directory are left
// alone until there are fewer.
const maxFiles = 10_000

// fileState is how a file was when it was looked at.
type fileState struct {
	size    int64
	changed int64  // its modification, unix nanoseconds
	inode   uint64 // some file systems give another one each time they are mounted
	ctime   int64  // unix nanoseconds; not remembered
}

// same tells that nobody has written to the file in between.
func (s fileState) same(o fileState) bool { return s.size == o.size && s.changed == o.changed }

func stateOf(info os.FileInfo) fileState {
	s := fileState{size: info.Size(), changed: info.ModTime().UnixNano(), inode: inodeOf(info)}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.ctime = time.Unix(st.Ctim.Unix()).UnixNano()
	}
	return s
}

// change is something that happened to a file.
type change struct {
	op    FileOp
	path  string // below the directory
	from  string // of a rename
	state fileState
	slot  uint64
	again bool // it may have an outcome from before a crash
	bytes int64
}

// watch is a directory while the source runs. All but the ring is for one
// goroutine.
type watch struct {
	*Files
	ring    *ring
	memory  *memory
	pending map[string]sighting
	busy    map[uint64]string // by slot: the file whose event is not over
	under   map[string]bool   // files whose event has no outcome yet
	bytes   int64             // of data in events without an outcome
	looked  bool              // the directory was read once
	crowded bool              // there were too many files
}

// sighting is what was seen of a file that is not as it was.
type sighting struct {
	state fileState
	gone  bool
	since time.Time
	first bool // it was seen when the directory was first looked at

	unread int64 // its ctime when it was told that it cannot be read; 0: it was not
}

func (f *Files) newWatch() (*watch, error) {
	m, err := openMemory(&f.opts, f.tell)
	if err != nil {
		return nil, err
	}
	return &watch{
		Files: f, memory: m, pending: map[string]sighting{}, busy: map[uint64]string{}, under: map[string]bool{},
	}, nil
}

// view is a directory as it is.
type view struct {
	opts  *FilesOptions
	files map[string]fileState
	blind []string // directories that could not be read
	full  bool     // there are too many files
}

// read adds what is in a directory; "" is the first. Symbolic links are not
// followed, and names that begin with a dot are for others.
func (v *view) read(dir string) error {
	entries, err := os.ReadDir(filepath.Join(v.opts.Path, dir))
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(path.Base(v.opts.Glob), "."):
		case e.IsDir():
			if v.opts.Recursive && filepath.Join(v.opts.Path, name) != filepath.Clean(v.opts.MoveTo) {
				v.read(name) // it has noted what it could not read
			}
		case e.Type().IsRegular() && v.opts.matches(name):
			if len(v.files) >= maxFiles {
				v.full = true
				return nil
			}
			if info, err := e.Info(); err == nil { // else it is gone
				v.files[name] = stateOf(info)
			}
		}
	}
	if err != nil {
		v.blind = append(v.blind, dir+"/")
	}
	return err
}

func (o *FilesOptions) matches(file string) bool {
	if !strings.Contains(o.Glob, "/") {
		file = path.Base(file)
	}
	ok, err := path.Match(o.Glob, file)
	return ok && err == nil
}

// misses tells that a file may be there though it was not seen.
func (v *view) misses(file string) bool {
	return v.full || slices.ContainsFunc(v.blind, func(dir string) bool { return strings.HasPrefix(file, dir) })
}

// look finds what has happened and is over since long enough, oldest first.
func (w *watch) look(now time.Time) ([]*change, error) {
	v := &view{opts: &w.opts, files: map[string]fileState{}}
	if err := v.read(""); err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", w.opts.Path, err)
	}
	if v.full && !w.crowded {
		w.tell(fmt.Sprintf("more than %d files: further ones wait", maxFiles), w.opts.Path)
	}
	w.crowded = v.full
	first := !w.looked
	w.looked = true
	var changes []*change
	for file, state := range v.files {
		old, known := w.memory.files[file]
		if w.under[file] || known && old.same(state) {
			delete(w.pending, file)
			if known && !w.under[file] {
				w.memory.files[file] = state // the inode may be another
			}
			continue
		}
		if s := (sighting{state: state, since: now, first: first}); w.settled(file, s) {
			op := FileCreate
			if known {
				op = FileModify
			}
			changes = append(changes, &change{op: op, path: file, state: state, again: w.pending[file].first})
		}
	}
	for file, state := range w.memory.files {
		if _, there := v.files[file]; there || w.under[file] || v.misses(file) {
			continue
		}
		if s := (sighting{state: state, gone: true, since: now, first: first}); w.settled(file, s) {
			state.ctime = 0 // it is not remembered over a restart
			changes = append(changes, &change{op: FileDelete, path: file, state: state, again: w.pending[file].first})
		}
	}
	for file, s := range w.pending { // what came and went meanwhile
		_, there := v.files[file]
		_, known := w.memory.files[file]
		if !there && !known && !s.gone {
			delete(w.pending, file)
		}
	}
	return w.wanted(w.paired(changes)), nil
}

// settled tells that a file has been as it is for long enough.
func (w *watch) settled(file string, s sighting) bool {
	old, seen := w.pending[file]
	if !seen || old.gone != s.gone || !old.state.same(s.state) {
		w.pending[file], old = s, s
	}
	return s.since.Sub(old.since) >= w.opts.Settle
}

// paired makes a rename of a file that went and one that came, if they are the
// same and renames are asked for.
func (w *watch) paired(changes []*change) []*change {
	if !slices.Contains(w.opts.On, FileRename) {
		return changes
	}
	came := map[fileState]*change{}
	for _, c := range changes {
		if c.op == FileCreate {
			came[identity(c.state)] = c
		}
	}
	return slices.DeleteFunc(changes, func(gone *change) bool {
		if gone.op != FileDelete {
			return false
		}
		c := came[identity(gone.state)]
		if c == nil || c.op != FileCreate {
			return false
		}
		c.op, c.from, c.again = FileRename, gone.path, c.again || gone.again
		return true
	})
}

// identity is the state of a file as far as a rename leaves it alone.
func identity(s fileState) fileState {
	s.ctime = 0
	return s
}

// wanted leaves changes that make an event, in order; of the others the memory
// takes note.
func (w *watch) wanted(changes []*change) []*change {
	changes = slices.DeleteFunc(changes, func(c *change) bool {
		if !slices.Contains(w.opts.On, c.op) {
			w.remember(c)
			return true
		}
		topic := topicOf(c.path)
		if err := agent.CheckTopic(topic); err != nil {
			w.tell("files whose path cannot be a topic", c.path)
			w.remember(c)
			return true
		}
		return !w.wants(topic)
	})
	slices.SortFunc(changes, func(a, b *change) int {
		return cmp.Or(cmp.Compare(a.state.changed, b.state.changed), cmp.Compare(a.path, b.path))
	})
	return changes
}

func decodeRune(s string) (rune, int) {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && n == 1 {
		return 0, 1 // no UTF-8
	}
	return r, n
}
