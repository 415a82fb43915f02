package sensors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// FileOp is what happened to a file.
type FileOp string

const (
	FileCreate FileOp = "create" // also what is there the first time the source runs
	FileModify FileOp = "modify"
	FileRename FileOp = "rename" // within the directory; where it is not asked for, a delete and a create
	FileDelete FileOp = "delete"
)

// FileOps are all there are.
var FileOps = []string{string(FileCreate), string(FileModify), string(FileRename), string(FileDelete)}

// FilesOptions say which files to watch. Name, Device and Path are needed.
type FilesOptions struct {
	Name      string // the source's name: triggers name it in Via
	Device    string
	Path      string        // directory; events have the path of a file below it as their Subject
	Glob      string        // of the name, or of the path below Path if it holds a slash; "" means "*"
	Recursive bool          // directories below it too
	On        []FileOp      // nil means create and modify
	Settle    time.Duration // so long a file has to stay as it is
	Content   bool          // the file is the data of its event; else what happened to it is, as JSON
	MaxSize   int64         // bytes; with Content, larger files are left alone; 0 means 256 KiB
	Delete    bool          // files whose event is durable are deleted
	MoveTo    string        // files whose event is durable are moved to this directory
	Poll      time.Duration // how often to look; 0 means 1 s
	Notes     Notes         // nil: after a restart all files are new
	Log       *slog.Logger
}

const (
	typeFile       = "io.skerry.file." // and the FileOp
	defaultFiles   = time.Second
	defaultContent = 256 << 10
	scanShare      = 20 // at most one part in so many of the time is spent looking
)

// Files is the source of what happens to files in a directory, as long as there
// are triggers for it. It compares the directory with what it was; what happens
// while the agent is off is found when it is back.
type Files struct {
	opts   FilesOptions
	source string // URI of its events
	log    *slog.Logger
	*interest

	mu    sync.Mutex
	ring  *ring         // nil while it does not run
	acked []*change     // whose events are durable, and which were not seen to yet
	wake  chan struct{} // capacity 1: there are acked
	up    bool          // the directory could be read
	last  error         // why not
	notes map[string]*fileNote
}

// fileNote is what a person should know, counted.
type fileNote struct {
	count  int64
	latest string
}

var _ agent.Source = (*Files)(nil)

// NewFiles checks the options. The directory may come later.
func NewFiles(opts FilesOptions) (*Files, error) {
	if err := checkName(opts.Name); err != nil {
		return nil, err
	}
	opts.Glob = cmp.Or(opts.Glob, "*")
	_, err := path.Match(opts.Glob, "")
	switch {
	case opts.Path == "":
		err = errors.New("path names the directory to watch")
	case err != nil || strings.Contains(opts.Glob, "**"):
		err = fmt.Errorf("glob %q is no pattern such as *.csv", opts.Glob)
	case opts.Delete && opts.MoveTo != "":
		err = errors.New("a file cannot be deleted and moved as well")
	case opts.MoveTo != "" && filepath.Clean(opts.MoveTo) == filepath.Clean(opts.Path):
		err = errors.New("files moved to path itself would be new again: name another directory")
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", opts.Name, err)
	}
	if opts.On == nil {
		opts.On = []FileOp{FileCreate, FileModify}
	}
	opts.MaxSize = cmp.Or(opts.MaxSize, defaultContent)
	opts.Poll = cmp.Or(opts.Poll, defaultFiles)
	return &Files{
		opts: opts, source: "/" + opts.Device + "/files/" + opts.Name, interest: newInterest(opts.Name),
		log: cmp.Or(opts.Log, slog.Default()).With("source", opts.Name), last: errNoTriggers,
		wake: make(chan struct{}, 1), notes: map[string]*fileNote{},
	}, nil
}

// Run implements agent.Source.
func (f *Files) Run(ctx context.Context, offer agent.Offer) error {
	if !f.await(ctx.Done()) {
		return nil
	}
	w, err := f.newWatch()
	if err != nil {
		return fmt.Errorf("source %s: %w", f.opts.Name, err)
	}
	w.ring = newRing(offer, window)
	f.set(func() { f.ring = w.ring })
	stop := make(chan struct{})
	var retrying sync.WaitGroup
	retrying.Go(func() { w.ring.run(stop) })
	for f.await(ctx.Done()) {
		began := time.Now()
		changes, err := w.look(began)
		f.set(func() { f.up, f.last = err == nil, err })
		took := time.Since(began)
		for _, c := range changes {
			if !w.deliver(ctx, c) {
				break
			}
		}
		w.rest(ctx, max(f.opts.Poll, scanShare*took))
	}
	drain(w.ring)
	close(stop)
	retrying.Wait()
	w.collect()
	if err := w.memory.note(); err != nil {
		f.log.Warn("what the directory was like is not noted; some events come again", "error", err)
	}
	f.set(func() { f.ring, f.up = nil, false })
	return nil
}

// tell counts what a person should know of.
func (f *Files) tell(what, latest string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.notes[what]
	if n == nil {
		n = &fileNote{}
		f.notes[what] = n
		f.log.Warn(what, "path", latest)
	}
	n.count++
	n.latest = latest
}

func (f *Files) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// Status tells how the source is.
func (f *Files) Status() agent.SourceStatus {
	filters, faults := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	st := agent.SourceStatus{Name: f.opts.Name, Kind: "files", Connected: f.up, Filters: filters}
	if f.ring != nil {
		st.Inflight = f.ring.waiting()
	}
	notes := slices.Clone(faults)
	for _, what := range sortedKeys(f.notes) {
		n := f.notes[what]
		notes = append(notes, fmt.Sprintf("%s: %d, the last is %s", what, n.count, n.latest))
	}
	last := f.last
	if len(filters) == 0 {
		last = errNoTriggers
	}
	st.Note = joinNotes(last, notes...)
	return st
}

// topicOf makes a topic of a path: what cannot stand in one is escaped as in a
// URL.
func topicOf(file string) string {
	var b strings.Builder
	for i := 0; i < len(file); {
		r, n := decodeRune(file[i:])
		if r < 0x20 || r == 0x7f || r == '+' || r == '#' {
			fmt.Fprintf(&b, "%%%02X", file[i])
		} else {
			b.WriteString(file[i : i+n])
		}
		i += n
	}
	return b.String()
}
