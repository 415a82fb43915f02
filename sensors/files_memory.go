package sensors

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// memory is how the files of a directory were when their events became durable.
// It is kept in notes of some files each, so that one change writes little.
type memory struct {
	notes Notes // nil: nothing outlives the process
	name  string
	files map[string]fileState
	of    map[uint64]map[string]bool // files by bucket
	dirty map[uint64]bool            // buckets that are not noted as they are
	since time.Time                  // when the first of them became so
}

const buckets = 256

func bucketOf(file string) uint64 { return hash(file, nil) % buckets }

// openMemory reads what was noted of the directory. What the glob does not match
// any more is forgotten; notes that cannot be read are told.
func openMemory(o *FilesOptions, tell func(what, latest string)) (*memory, error) {
	m := &memory{
		notes: o.Notes, name: fmt.Sprintf("files/%s/%016x/", o.Name, hash(o.Path, nil)), files: map[string]fileState{},
		of: map[uint64]map[string]bool{}, dirty: map[uint64]bool{},
	}
	if o.Notes == nil {
		return m, nil
	}
	for n := range uint64(buckets) {
		text, err := o.Notes.Get(m.key(n))
		if err != nil {
			return nil, fmt.Errorf("read what the directory was like: %w", err)
		}
		var noted map[string][3]int64
		if len(text) > 0 && json.Unmarshal(text, &noted) != nil {
			tell("notes of the directory that cannot be read, so that their files count as new", fmt.Sprintf("%.100q", text))
			continue
		}
		for escaped, s := range noted {
			file, err := url.PathUnescape(escaped)
			if err != nil {
				continue // then it is new
			}
			m.put(file, fileState{size: s[0], changed: s[1], inode: uint64(s[2])})
			if !o.matches(file) {
				m.forget(file)
			}
		}
	}
	return m, nil
}

func (m *memory) key(bucket uint64) string { return m.name + strconv.FormatUint(bucket, 10) }

func (m *memory) put(file string, s fileState) {
	m.files[file] = s
	n := bucketOf(file)
	if m.of[n] == nil {
		m.of[n] = map[string]bool{}
	}
	m.of[n][file] = true
}

func (m *memory) set(file string, s fileState) {
	m.put(file, s)
	m.soil(file)
}

// forget removes a file, if it is known.
func (m *memory) forget(file string) {
	if _, known := m.files[file]; !known {
		return
	}
	delete(m.files, file)
	delete(m.of[bucketOf(file)], file)
	m.soil(file)
}

func (m *memory) soil(file string) {
	if len(m.dirty) == 0 {
		m.since = time.Now()
	}
	m.dirty[bucketOf(file)] = true
}

// due tells that it is time to note what has changed.
func (m *memory) due(now time.Time) bool {
	return len(m.dirty) > 0 && now.Sub(m.since) >= noteDelay
}

// note notes what has changed.
func (m *memory) note() error {
	for _, n := range sortedKeys(m.dirty) {
		if err := m.write(n); err != nil {
			m.since = time.Now() // not again at once
			return err
		}
		delete(m.dirty, n)
	}
	return nil
}

func (m *memory) write(bucket uint64) error {
	if m.notes == nil {
		return nil
	}
	noted := make(map[string][3]int64, len(m.of[bucket]))
	for file := range m.of[bucket] {
		s := m.files[file] // a name may be no UTF-8, which JSON wants
		noted[url.PathEscape(file)] = [3]int64{s.size, s.changed, int64(s.inode)}
	}
	if len(noted) == 0 {
		return m.notes.Put(m.key(bucket), nil)
	}
	text, err := json.Marshal(noted)
	if err != nil {
		return fmt.Errorf("encode what the directory is like: %w", err)
	}
	return m.notes.Put(m.key(bucket), text)
}
