package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

const (
	magic      = "skmqtt1\n"
	minRewrite = 4 << 20 // bytes; a smaller file is not written anew
	soon       = 64 << 10
	brokenWait = time.Second
)

// journal is the file of sessions and retained messages: changes are appended
// to it, and now and then it is written anew from what there is in memory.
// The broker's lock guards what follows mu; size and base belong to run.
type journal struct {
	b       *Broker
	path    string
	f       *os.File
	size    int64
	base    int64 // size when it was last written anew
	damaged int64 // bytes that could not be read at the start
	wake    chan struct{}

	// mu: b.mu
	pending []byte   // records that are not written yet
	waiters []func() // called, in order, when what is pending is durable
	err     error    // why nothing can be written; what is pending is void then, and all is written anew
}

// openJournal reads the file at path into b.
func openJournal(b *Broker, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	j := &journal{b: b, path: path, f: f, wake: make(chan struct{}, 1)}
	b.disk = j
	if err := j.load(); err != nil {
		f.Close()
		return err
	}
	return nil
}

// load reads what there is. What is damaged is skipped and counted, a copy of
// the file is kept, and a whole one is written.
func (j *journal) load() error {
	l := loader{b: j.b, sessions: map[string]*session{}}
	skipped, torn, err := readRecords(j.f, l.apply)
	if err != nil {
		return fmt.Errorf("read %s: %w", j.path, err)
	}
	l.finish()
	j.damaged = skipped + l.bad
	if j.damaged > 0 {
		copyPath := j.path + ".damaged"
		err := os.Remove(copyPath)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Link(j.path, copyPath)
		}
		j.b.log.Error("sessions and retained messages are damaged in part; the rest is used",
			"file", j.path, "bytes", j.damaged, "kept_as", copyPath, "error", err)
	}
	if torn > 0 {
		j.b.log.Warn("the end of the file of sessions was not written; it was not acknowledged either", "file", j.path, "bytes", torn)
	}
	return j.rewrite()
}

// add appends a record; durable, if not nil, is called once it is on disk. The
// lock is held, here and in durable.
func (j *journal) add(kind byte, body []byte, durable func()) {
	if j.err == nil {
		j.pending = appendRecord(j.pending, kind, body)
	}
	if durable != nil {
		j.waiters = append(j.waiters, durable)
	}
	if durable != nil || len(j.pending) > soon {
		j.signal()
	}
}

// flushSoon writes what nobody waits for.
func (j *journal) flushSoon() {
	if len(j.pending) > 0 || j.err != nil {
		j.signal()
	}
}

func (j *journal) signal() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// run writes until stop is closed.
func (j *journal) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-j.wake:
		}
		if j.flush() == nil {
			continue
		}
		again := time.NewTimer(brokenWait)
		select {
		case <-stop:
			again.Stop()
			return
		case <-again.C:
			j.signal()
		}
	}
}

// flush makes what is pending durable.
func (j *journal) flush() error {
	j.b.mu.Lock()
	if j.err != nil || j.size > max(minRewrite, 2*j.base) {
		j.b.mu.Unlock()
		return j.rewrite()
	}
	out, waiters := j.pending, j.waiters
	j.pending, j.waiters = nil, nil
	j.b.mu.Unlock()
	err := j.append(out, len(waiters) > 0)
	j.finish(err, waiters)
	return err
}

func (j *journal) append(out []byte, sync bool) error {
	n, err := j.f.WriteAt(out, j.size)
	if err == nil && sync {
		err = j.f.Sync()
	}
	if err != nil {
		return err // the file is written anew; until then its end is torn at worst
	}
	j.size += int64(n)
	return nil
}

// finish tells those who wait; after an error they go on waiting.
func (j *journal) finish(err error, waiters []func()) {
	j.b.mu.Lock()
	defer j.b.mu.Unlock()
	if err == nil {
		for _, durable := range waiters {
			durable()
		}
		return
	}
	if j.err == nil {
		j.b.warn("sessions cannot be kept; their publishers wait", "file", j.path, "error", err)
	}
	j.err = err
	j.pending = nil
	j.waiters = append(waiters, j.waiters...)
}

// rewrite writes everything anew, beside the old file, and replaces it.
func (j *journal) rewrite() error {
	j.b.mu.Lock()
	snap, fresh := j.b.snapshot()
	waiters := append(j.waiters, func() {
		for _, d := range fresh {
			d.settle()
		}
	})
	j.pending, j.waiters = nil, nil
	broken := j.err
	j.err = nil // what comes from here on is appended to the new file
	j.b.mu.Unlock()
	f, size, err := writeAnew(j.path, snap)
	if err == nil {
		j.f.Close() // nothing in it is needed
		j.f, j.size, j.base = f, size, size
		if broken != nil {
			j.b.log.Info("sessions can be kept again", "file", j.path)
		}
	}
	j.finish(err, waiters)
	return err
}

// writeAnew writes parts to a new file and moves it to path.
func writeAnew(path string, parts []part) (f *os.File, size int64, err error) {
	f, err = os.OpenFile(path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path + ".new") // it takes room that is missing
		}
	}()
	buf := []byte(magic)
	for i, p := range parts {
		buf = appendRecord(buf, p.kind, p.body())
		if len(buf) < soon && i < len(parts)-1 {
			continue
		}
		if _, err := f.Write(buf); err != nil {
			return nil, 0, err
		}
		size += int64(len(buf))
		buf = buf[:0]
	}
	if len(parts) == 0 {
		if _, err := f.Write(buf); err != nil {
			return nil, 0, err
		}
		size = int64(len(buf))
	}
	if err := f.Sync(); err != nil {
		return nil, 0, err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, 0, err
	}
	return f, size, syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// close writes everything one last time: also what is in flight, with its
// packet ids.
func (j *journal) close() error {
	j.b.mu.Lock()
	j.b.writeDirty()
	j.b.mu.Unlock()
	err := j.rewrite()
	return errors.Join(err, j.f.Close())
}
