package uplink

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// fresh is what was made of files. It is made again when one of them changes,
// so that a credential is replaced without a restart; while they cannot be read
// or make no sense what was made before stays, and they are read each time. It
// may be used by many goroutines.
type fresh[T any] struct {
	files []string
	make  func() (T, error)

	mu    sync.Mutex
	seen  []os.FileInfo // nil for one that was not there
	value T
	err   error // of the files as they are now; value is older
}

// newFresh makes it for the first time, and fails if that does.
func newFresh[T any](makes func() (T, error), files ...string) (*fresh[T], error) {
	f := &fresh[T]{files: files, make: makes, seen: make([]os.FileInfo, len(files))}
	f.look()
	var err error
	f.value, err = makes()
	return f, err
}

// get is the newest that made sense.
func (f *fresh[T]) get() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.look() && f.err == nil { // a file may become readable without a change
		return f.value
	}
	value, err := f.make()
	if f.err = err; err == nil {
		f.value = value
	}
	return f.value
}

// look tells whether a file is another than it was. It looks before the files
// are read, so that what changes meanwhile is seen the next time.
func (f *fresh[T]) look() bool {
	changed := false
	for i, name := range f.files {
		now, err := os.Stat(name)
		if err != nil {
			now = nil
		}
		was := f.seen[i]
		same := was == nil && now == nil ||
			was != nil && now != nil && os.SameFile(was, now) && was.Size() == now.Size() && was.ModTime().Equal(now.ModTime())
		changed = changed || !same
		f.seen[i] = now
	}
	return changed
}

// note says what is wrong with the files now, "" if nothing is.
func (f *fresh[T]) note() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		return ""
	}
	return fmt.Sprintf("what was read before stays in use: %v", f.err)
}

// maxCredential is how much of a file is read.
const maxCredential = 64 << 10 // bytes

// newSecret is a credential that stands in the configuration or is the first
// line of a file; nil if the option is not given. check may be nil.
func newSecret(option, value, file string, check func(string) error) (*fresh[string], error) {
	read := func() (line string, err error) {
		if line = value; file != "" {
			line, err = firstLine(file)
		}
		if err == nil && check != nil {
			err = check(line)
		}
		return line, err
	}
	switch {
	case value == "" && file == "":
		return nil, nil
	case value != "" && file != "":
		return nil, mistake(option, "is set and %s_file too: keep one", option)
	case value != "":
		f, err := newFresh(read)
		if err != nil {
			return nil, mistake(option, "%v", err)
		}
		return f, nil
	}
	f, err := newFresh(read, file)
	if err != nil {
		return nil, mistake(option+"_file", "cannot be used: %v", err)
	}
	return f, nil
}

// inHeader is a check of newSecret.
func inHeader(value string) error {
	if !validValue(value) {
		return errors.New("holds characters that a header cannot carry: remove them")
	}
	return nil
}

// firstLine reads a file that holds one line; editors add a line end to it.
func firstLine(file string) (string, error) {
	text, err := readCredential(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("%s has nothing on its first line", file)
	}
	return line, nil
}

// readCredential reads a small regular file; opening a pipe would wait for its
// writer.
func readCredential(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCredential+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", file, err)
	case len(text) > maxCredential:
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxCredential)
	}
	return text, nil
}
