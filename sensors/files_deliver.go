package sensors

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
)

const (
	fileSlots = 4096    // places in which events that come again are recognised
	fileBytes = 8 << 20 // of contents in events without an outcome, at least one file
)

// deliver offers the event of a change, as soon as there is room; it returns
// false when it should not go on.
func (w *watch) deliver(ctx context.Context, c *change) bool {
	c.slot = hash(c.path, nil) % fileSlots
	for w.full(c) {
		w.collect()
		if w.note(); !w.full(c) {
			break
		}
		if !w.sleep(ctx, time.Second) {
			return false
		}
	}
	if filters, _ := w.now(); ctx.Err() != nil || len(filters) == 0 {
		return false
	}
	if _, taken := w.busy[c.slot]; taken || w.under[c.path] || w.under[c.from] {
		return true // it is found again, when that one is over
	}
	ev, err := w.event(c)
	if err != nil || ev == nil {
		return true // it has changed, or is not wanted
	}
	w.busy[c.slot], w.under[c.path] = c.path, true
	if c.from != "" {
		w.under[c.from] = true
	}
	c.bytes = int64(len(ev.Data))
	w.bytes += c.bytes
	delete(w.pending, c.path)
	w.ring.add(ev, func() { // never full: it has a place for each busy slot
		w.mu.Lock()
		w.acked = append(w.acked, c)
		w.mu.Unlock()
		signal(w.wake)
	})
	return true
}

// full tells that there is no room for the event of c.
func (w *watch) full(c *change) bool {
	return len(w.busy) >= window || w.opts.Content && w.bytes > 0 && w.bytes+min(c.state.size, w.opts.MaxSize) > fileBytes
}

// fileEvent is what happened to a file, in JSON.
type fileEvent struct {
	Path  string    `json:"path"`
	Op    FileOp    `json:"op"`
	From  string    `json:"from,omitempty"`
	Size  int64     `json:"size"`
	Mtime time.Time `json:"mtime"`
}

// event makes an Event of a change; nil if there is none to be made.
func (w *watch) event(c *change) (*agent.Event, error) {
	ev := &agent.Event{
		Source: w.source, Type: typeFile + string(c.op), Subject: topicOf(c.path), Time: time.Now(), Via: w.opts.Name, QoS: 1,
		Origin: agent.Origin{
			Slot: w.opts.Name + "/" + strconv.FormatUint(c.slot, 10), Redelivered: c.again,
			Hash: hash(fmt.Sprint(c.op, c.state.size, c.state.changed, c.state.ctime, c.path), []byte(c.from)),
		},
	}
	if !w.opts.Content || c.op == FileDelete {
		data, err := json.Marshal(fileEvent{c.path, c.op, c.from, c.state.size, time.Unix(0, c.state.changed).UTC()})
		if err != nil {
			return nil, fmt.Errorf("encode the event of %s: %w", c.path, err)
		}
		ev.ContentType, ev.Data = "application/json", data
		return ev, nil
	}
	if c.state.size > w.opts.MaxSize {
		w.tell(fmt.Sprintf("files over %d bytes left alone", w.opts.MaxSize), c.path)
		w.remember(c)
		return nil, nil
	}
	data, err := w.contents(c)
	if err != nil {
		s := w.pending[c.path]
		if !errors.Is(err, errFileChanged) && !errors.Is(err, fs.ErrNotExist) && s.unread != c.state.ctime {
			s.unread = c.state.ctime
			w.pending[c.path] = s // it is tried again, and told again once somebody has touched it
			w.tell("files that cannot be read", err.Error())
		}
		return nil, err
	}
	ev.ContentType, ev.Data = fileType(c.path, data), data
	return ev, nil
}

var errFileChanged = errors.New("the file has changed meanwhile")

// contents reads the file of a change, as it was seen. It follows no link out of
// the directory.
func (w *watch) contents(c *change) ([]byte, error) {
	root, err := os.OpenRoot(w.opts.Path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(c.path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may have become a pipe
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unchanged := func() bool {
		info, err := f.Stat()
		return err == nil && info.Mode().IsRegular() && stateOf(info).same(c.state)
	}
	if !unchanged() {
		return nil, errFileChanged
	}
	data, err := io.ReadAll(io.LimitReader(f, c.state.size+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != c.state.size || !unchanged() {
		return nil, errFileChanged
	}
	return data, nil
}

// fileTypes are those that are told by the name; others are told by what is in
// the file. The tables of systems differ.
var fileTypes = map[string]string{
	".json": "application/json", ".csv": "text/csv", ".txt": "text/plain; charset=utf-8", ".xml": "application/xml",
	".yaml": "application/yaml", ".yml": "application/yaml", ".jpg": "image/jpeg", ".png": "image/png",
}

func fileType(name string, data []byte) string {
	if kind := fileTypes[path.Ext(name)]; kind != "" {
		return kind
	}
	return lineType(data)
}

// collect sees to the files whose events are durable.
func (w *watch) collect() {
	w.mu.Lock()
	acked := w.acked
	w.acked = nil
	w.mu.Unlock()
	for _, c := range acked {
		w.bytes -= c.bytes
		delete(w.under, c.path)
		delete(w.under, c.from)
		if c.op != FileDelete && w.clear(c) {
			w.memory.forget(c.path)
			w.memory.forget(c.from)
			delete(w.pending, c.path)
		} else {
			w.remember(c)
		}
		if !w.memory.dirty[bucketOf(c.path)] && !w.memory.dirty[bucketOf(c.from)] {
			delete(w.busy, c.slot)
		}
	}
}

// note notes what the directory is like, and frees the slots of events that do
// not come again because of that.
func (w *watch) note() {
	if err := w.memory.note(); err != nil {
		w.tell("what the directory is like cannot be noted", err.Error())
		return
	}
	for slot, file := range w.busy {
		if !w.under[file] {
			delete(w.busy, slot)
		}
	}
}

// remember takes note of a change that needs no event, or has had one.
func (w *watch) remember(c *change) {
	delete(w.pending, c.path)
	w.memory.forget(c.from)
	if c.op == FileDelete {
		w.memory.forget(c.path)
	} else {
		w.memory.set(c.path, c.state)
	}
}

// clear deletes or moves a file whose event is durable, if that is asked for and
// it is still the same; it tells whether the file is gone.
func (w *watch) clear(c *change) bool {
	if !w.opts.Delete && w.opts.MoveTo == "" {
		return false
	}
	err := w.remove(c)
	if err != nil && !errors.Is(err, errFileChanged) && !errors.Is(err, fs.ErrNotExist) {
		w.tell("files that cannot be cleared away", err.Error())
	}
	return err == nil || errors.Is(err, fs.ErrNotExist)
}

func (w *watch) remove(c *change) error {
	root, err := os.OpenRoot(w.opts.Path)
	if err != nil {
		return err
	}
	defer root.Close()
	info, err := root.Lstat(c.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || !stateOf(info).same(c.state) {
		return errFileChanged
	}
	if w.opts.Delete {
		return root.Remove(c.path)
	}
	to := filepath.Join(w.opts.MoveTo, c.path)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	free := to
	for n := 1; ; n++ {
		if _, err := os.Lstat(free); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		free = to + "." + strconv.Itoa(n)
	}
	dir, err := root.Open(path.Dir(c.path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Renameat(int(dir.Fd()), path.Base(c.path), unix.AT_FDCWD, free)
}

// sleep waits for outcomes, but no longer than d; it returns false when ctx ended.
func (w *watch) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// rest passes the time until the directory is looked at again, and sees to what
// is done meanwhile.
func (w *watch) rest(ctx context.Context, d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); {
		w.collect()
		if w.memory.due(time.Now()) {
			w.note()
		}
		if !w.sleep(ctx, time.Until(until)) {
			return
		}
	}
}
