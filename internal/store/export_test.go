package store

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/skerry-edge/skerry/agent"
)

// File is a journal segment that a test may make fail.
type File = file

// FileSystem is the disk below a store.
type FileSystem = fileSystem

// RealDisk is the file system of the machine.
var RealDisk FileSystem = disk{}

// WithDisk puts a store on another disk, and its values into a database in memory.
func WithDisk(o Options, files FileSystem, db *badger.DB) Options {
	o.files, o.db = files, db
	return o
}

// CommitGroup commits frames as producers do that come at the same time, in
// this order, and returns what each is told.
func (s *Store) CommitGroup(frames []*agent.Frame) []error {
	errs := make([]error, len(frames))
	waiting := make([]*entry, len(frames))
	s.mu.Lock()
	for i, f := range frames {
		e := newEntry(f, nil)
		if errs[i] = s.admit(e); errs[i] != nil {
			continue
		}
		s.enqueue(e)
		for k := range f.Add {
			f.Add[k].Seq = e.p.first + uint64(k)
		}
		if !e.lazy {
			waiting[i] = e
		}
	}
	s.leading = true
	for slices.ContainsFunc(s.pending, func(e *entry) bool { return !e.lazy }) {
		s.batch()
	}
	s.leading = false
	s.mu.Unlock()
	for i, e := range waiting {
		if e != nil {
			<-e.wake
			errs[i] = e.err
		}
	}
	return errs
}

// Durable is how many frames are on disk.
func (s *Store) Durable() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.durable
}

// Abandon lets go of a store without closing it, as a crash does.
func (s *Store) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

type wrapped struct {
	disk
	wrap func(File) File
}

func (w wrapped) Create(path string, size int64) (file, error) {
	f, err := w.disk.Create(path, size)
	if err != nil {
		return nil, err
	}
	return w.wrap(f), nil
}

// WithFree tells a store how much of the disk is free.
func WithFree(o Options, free func() int64) Options {
	o.files = freeDisk{disk{}, free}
	return o
}

type freeDisk struct {
	disk
	free func() int64
}

func (d freeDisk) Free(string) (int64, error) { return d.free(), nil }

// WithFiles puts wrap around every new segment.
func WithFiles(o Options, wrap func(File) File) Options {
	o.files = wrapped{wrap: wrap}
	return o
}

// Checkpoint applies the journal to Badger now.
func (s *Store) Checkpoint() error { return s.maintain(context.Background(), true) }

// Flush syncs Lazy frames now.
func (s *Store) Flush() error { return s.flush() }

// DB is the database behind the journal.
func (s *Store) DB() *badger.DB { return s.db }

// ChunkKey is where a chunk of a blob lies.
func ChunkKey(d agent.Digest, i int) []byte {
	sum, err := digestBytes(d)
	if err != nil {
		panic(err)
	}
	return chunkKey(sum, i)
}

// ValueHeader is how many bytes a value has beside its data.
const ValueHeader = valueHeader

// StateKey is where a value lies.
var StateKey = stateKey

// CheckWordSize holds the 32-bit rules against options.
func CheckWordSize(o badger.Options, intSize int) error { return checkWordSize(o, intSize) }

// EncodeFrame gives the payload of f whose first record gets the sequence first.
func EncodeFrame(f *agent.Frame, first uint64) []byte {
	var p payload
	b := appendPayload(nil, f, nil, &p)
	p.setFirst(b, first)
	return b
}

// DecodeFrame is the inverse of EncodeFrame.
func DecodeFrame(b []byte) (agent.Frame, uint64, error) {
	var (
		p payload
		f agent.Frame
	)
	if err := parsePayload(b, &p); err != nil {
		return f, 0, err
	}
	for _, pl := range p.add {
		rec, err := decodeRecord(b[pl.off : pl.off+pl.n])
		if err != nil {
			return f, 0, err
		}
		rec.Seq = pl.seq
		f.Add = append(f.Add, rec)
	}
	f.Done, f.Touch = p.done, p.touch
	for _, w := range p.writes {
		w.Value = bytes.Clone(w.Value)
		f.Writes = append(f.Writes, w)
	}
	return f, p.first, nil
}

// Header decodes the start of a segment.
func Header(b []byte) error {
	_, err := decodeHeader(b)
	return err
}

// ScanFrames lists the frames in b as replay does, whatever its header says.
func ScanFrames(b []byte) (frames int) {
	found := scanFrames(b, &header{first: 1})
	if found.end > max(len(b), headerArea) {
		panic("frames end behind the file")
	}
	for _, fr := range found.frames {
		var p payload
		_ = parsePayload(b[fr.off:fr.off+fr.n], &p) // only must not panic
	}
	return len(found.frames)
}

// Segment gives a segment whose frames carry these payloads.
func Segment(payloads ...[]byte) []byte {
	h := header{first: 1}
	b := h.encode()
	for i, p := range payloads {
		at := len(b)
		b = append(append(b, make([]byte, frameHeader)...), p...)
		b = append(b, make([]byte, align8(len(p))-len(p))...)
		sealFrame(b[at:], len(p), uint64(i+1), 1, h.seed())
	}
	return b
}

// Scrub reads everything over now.
func (s *Store) Scrub(ctx context.Context) error {
	s.forgetVerified()
	s.verify(ctx)
	return s.scanKeys(ctx)
}

// ParseIndex parses the index of a footer, and what it encodes of that again.
func ParseIndex(b []byte) (again []byte, err error) {
	var first, second footer
	if err := first.parseIndex(b); err != nil {
		return nil, err
	}
	again = first.appendIndex(nil)
	if err := second.parseIndex(again); err != nil {
		return again, fmt.Errorf("what was encoded again: %w", err)
	}
	if !reflect.DeepEqual(first, second) {
		return again, fmt.Errorf("%+v became %+v", first, second)
	}
	return again, nil
}

// SomeIndex is an index with something of everything.
func SomeIndex() []byte {
	ft := footer{
		nextRec: 90, base: 70, names: []string{"a", "target/erp"}, bytes: []uint64{1 << 40, 7},
		home: []uint32{1, 0, 2}, moved: []movedRec{{3, 1, 500}, {900, 0, 1 << 31}}, done: []uint64{4, 9, 1 << 50},
		touch: []agent.Touch{{Seq: 70, Attempts: 3, NotBefore: time.Unix(5, 6).UTC()}, {Seq: 3}}, writes: []writeFrame{{7, 1024}},
	}
	return ft.appendIndex(nil)
}

// Trailer decodes the end of a sealed segment.
func Trailer(b []byte) (used int64, err error) {
	t, err := decodeTrailer(b[max(0, len(b)-trailerBytes):], header{first: 1}, int64(len(b)))
	return t.used, err
}

// TableIntact verifies a table of Badger.
var TableIntact = tableIntact
