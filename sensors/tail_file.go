package sensors

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tailMark is a place in a file that may have another name by now. The zero
// tailMark is the beginning of what has the name.
type tailMark struct {
	Inode  uint64
	Offset int64
	Head   int    // so many bytes at the beginning of the file, at most headSize and Offset,
	Hash   uint64 // have this hash
}

const headSize = 256 // bytes that tell a file from others

func (m tailMark) String() string {
	return fmt.Sprintf("%d %d %d %x", m.Inode, m.Offset, m.Head, m.Hash)
}

func parseTailMark(text string) (m tailMark, err error) {
	_, err = fmt.Sscanf(text, "%d %d %d %x", &m.Inode, &m.Offset, &m.Head, &m.Hash)
	if err != nil || m.Offset < 0 || m.Head < 0 || m.Head > headSize || int64(m.Head) > m.Offset {
		return tailMark{}, fmt.Errorf("a position in a file is noted as %.80q, which is none", text)
	}
	return m, nil
}

// markAt is the place at offset in f.
func markAt(f *os.File, offset int64) (m tailMark, err error) {
	info, err := f.Stat()
	if err != nil {
		return m, err
	}
	m = tailMark{Inode: inodeOf(info), Offset: offset, Head: int(min(headSize, offset))}
	m.Hash, err = hashHead(f, m.Head)
	return m, err
}

// hashHead is the hash of the first n bytes of f, 0 of none.
func hashHead(f *os.File, n int) (uint64, error) {
	if n == 0 {
		return 0, nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(n)), b); err != nil {
		return 0, err
	}
	return hash("", b), nil
}

// begins tells whether f is as long as m says at least, and begins like it.
func (m tailMark) begins(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() < m.Offset {
		return false
	}
	sum, err := hashHead(f, m.Head)
	return err == nil && sum == m.Hash
}

func inodeOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// openRegular opens a file for reading; nothing else: a pipe would never end.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// tailed is a file that lines are read from.
type tailed struct {
	path  string // where the newest file is; f may have been renamed
	f     *os.File
	mark  tailMark // where reading began; then, of the last line
	base  int64    // offset at which lines began
	lines *lines
	ended bool     // the end was seen
	after bool     // another file was seen that is to be read next
	next  tailMark // that file, once line returned errNextFile
	lost  bool     // what the mark spoke of is not to be found
}

// errNextFile says that a file has been read, and which is next.
var errNextFile = errors.New("the next file is to be read")

// openTailed opens the file that at speaks of: the one at path, one that was
// renamed, or the copy of one that was truncated; else what is at path, from its
// beginning.
func openTailed(path string, at tailMark, maxLine int) (*tailed, error) {
	f, err := openRegular(path)
	if at == (tailMark{}) {
		if err != nil {
			return nil, err
		}
		return newTailed(path, f, at, maxLine)
	}
	if err == nil {
		if info, e := f.Stat(); e == nil && inodeOf(info) == at.Inode && at.begins(f) {
			return newTailed(path, f, at, maxLine)
		}
		defer f.Close()
	}
	if old := renamed(path, at); old != nil {
		return newTailed(path, old, at, maxLine)
	}
	found, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	t, err := newTailed(path, found, tailMark{}, maxLine)
	if err == nil {
		t.lost = t.mark.Inode != at.Inode // else it was truncated: most often there was no more
	}
	return t, err
}

func newTailed(path string, f *os.File, at tailMark, maxLine int) (*tailed, error) {
	mark, err := markAt(f, at.Offset)
	if err == nil {
		_, err = f.Seek(at.Offset, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &tailed{path: path, f: f, mark: mark, base: at.Offset, lines: &lines{from: f, max: maxLine}}, nil
}

func (t *tailed) close() { t.f.Close() }

// line returns the next line, or io.EOF when there is none yet: it may be called
// again then.
func (t *tailed) line() ([]byte, error) {
	if t.ended && t.truncated() {
		t.next = t.mark // there may be a copy of it
		return nil, errNextFile
	}
	t.ended = false
	line, err := t.lines.next()
	if errors.Is(err, io.EOF) {
		t.ended = true
		if line, err = t.end(); line == nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	return line, t.advance()
}

// end looks what is behind the end of the file. When there is another one it is
// read once more, since somebody may have written to it until just now; what is
// left then is its last line.
func (t *tailed) end() ([]byte, error) {
	next, ok := t.successor()
	if !ok {
		return nil, io.EOF
	}
	if !t.after {
		t.after = true
		if line, err := t.lines.next(); !errors.Is(err, io.EOF) {
			return line, err
		}
	}
	if line := t.lines.rest(); line != nil {
		return line, nil
	}
	t.next = next
	return nil, errNextFile
}

// advance moves the mark behind the line that was taken.
func (t *tailed) advance() error {
	t.mark.Offset = t.base + t.lines.at
	if t.mark.Head == headSize {
		return nil
	}
	m, err := markAt(t.f, t.mark.Offset)
	if err == nil {
		t.mark = m
	}
	return err
}

// truncated tells whether what was read is in the file no more.
func (t *tailed) truncated() bool {
	info, err := t.f.Stat()
	if err != nil {
		return false
	}
	if info.Size() < t.base+t.lines.at+int64(len(t.lines.buf)) {
		return true
	}
	sum, err := hashHead(t.f, t.mark.Head)
	return err == nil && sum != t.mark.Hash
}

// successor is the file to read after this one, if it has something in it. Files
// that were there for less time than it took to notice them come first.
func (t *tailed) successor() (tailMark, bool) {
	mine, err := t.f.Stat()
	if err != nil {
		return tailMark{}, false
	}
	newest, err := os.Stat(t.path)
	if err != nil || inodeOf(newest) == inodeOf(mine) {
		return tailMark{}, false
	}
	for _, s := range siblings(t.path) {
		if s.inode != inodeOf(mine) && s.inode != inodeOf(newest) && s.changed.After(mine.ModTime()) && s.size > 0 {
			return tailMark{Inode: s.inode}, true
		}
	}
	return tailMark{Inode: inodeOf(newest)}, newest.Size() > 0
}

// renamed opens the file that at speaks of under the name that rotation gave it;
// nil if there is none.
func renamed(path string, at tailMark) *os.File {
	all := siblings(path)
	slices.Reverse(all)
	for _, same := range []func(sibling) bool{
		func(s sibling) bool { return s.inode == at.Inode },
		func(s sibling) bool { return at.Head == headSize }, // a copy
	} {
		for _, s := range all {
			if !same(s) {
				continue
			}
			if f, err := openRegular(s.path); err == nil && at.begins(f) {
				return f
			} else if err == nil {
				f.Close()
			}
		}
	}
	return nil
}

// sibling is a file that rotation has left beside another.
type sibling struct {
	path    string
	inode   uint64
	size    int64
	changed time.Time
}

// rotated is what rotation appends to a name, or puts before its ending: ".1",
// "-20260131", ".2026-01-31".
var rotated = regexp.MustCompile(`^[.-]\d[\d.-]*$`)

// siblings lists the rotated files of path that are not packed, oldest first.
func siblings(path string) (all []sibling) {
	dir, name := filepath.Split(path)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	ending := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ending)
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name)
		if !ok || !rotated.MatchString(rest) {
			if rest, ok = strings.CutPrefix(e.Name(), stem); !ok {
				continue
			}
			if rest, ok = strings.CutSuffix(rest, ending); !ok || !rotated.MatchString(rest) {
				continue
			}
		}
		info, err := e.Info()
		if err == nil && info.Mode().IsRegular() {
			all = append(all, sibling{dir + e.Name(), inodeOf(info), info.Size(), info.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b sibling) int { return a.changed.Compare(b.changed) })
	return all
}
