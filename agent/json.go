package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

var errNoJSON = errors.New("event data is not JSON")

// Step leads from a JSON value to one inside of it: to a field of an object, or
// to an element of a list.
type Step struct {
	Name    string
	Index   int // of an element, from 0; -1 is the last
	Element bool
}

// JSON returns Data decoded as by encoding/json into any, decoding it at most
// once. One goroutine at a time may call this and Field; copies of the event made
// since the first call share what is known, and may be used by others.
func (e *Event) JSON() (any, error) { return e.document().decoded() }

// Field returns the JSON text of what lies at path in Data, nil if there is
// nothing or Data is not JSON: what JSON would decode at that place, without
// decoding the rest. Data is looked through once for all paths.
func (e *Event) Field(path []Step) []byte { return e.document().field(path) }

// FieldOf is Field for data that is no event's.
func FieldOf(data []byte, path []Step) []byte {
	d := document{data: data}
	return d.field(path)
}

// Forget gives back what was noted about Data, for other events to use: nobody
// else may look at e or at a copy of it.
func (e *Event) Forget() {
	d := e.doc
	if e.doc = nil; d == nil || cap(d.members) > maxKeptMembers {
		return
	}
	*d = document{members: d.members[:0]}
	documents.Put(d)
}

// document is what e notes about its data, empty after Data was replaced.
func (e *Event) document() *document {
	if e.doc == nil || len(e.doc.data) != len(e.Data) || len(e.Data) > 0 && &e.doc.data[0] != &e.Data[0] {
		e.doc = documents.Get().(*document)
		e.doc.data = e.Data
	}
	return e.doc
}

var documents = sync.Pool{New: func() any { return new(document) }}

const (
	usualMembers   = 16  // of a reading
	maxKeptMembers = 256 // a longer list is not used again
)

// document is JSON text with what is known about it so far. It may be used by
// many goroutines.
type document struct {
	data  []byte
	found atomic.Bool // that root and members are filled
	whole atomic.Bool // that body and err are filled

	mu      sync.Mutex   // taken to fill them
	root    []byte       // the value without space around it; nil: the text is not valid
	asked   atomic.Int32 // which member was asked for last: many triggers ask for the same
	members []member     // of the root, if that is an object; in the order of the text

	body any
	err  error
}

// member is a field of the root, as positions in data.
type member struct {
	key, keyEnd     uint32 // between the quotes
	value, valueEnd uint32
	odd             bool // the key has to be decoded before it is compared
}

func (m *member) named(data []byte, name string) bool {
	if m.odd {
		return decodedKey(data[m.key:m.keyEnd]) == name
	}
	return int(m.keyEnd-m.key) == len(name) && string(data[m.key:m.keyEnd]) == name
}

func (d *document) decoded() (any, error) {
	if !d.whole.Load() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.whole.Load() {
			if err := json.Unmarshal(d.data, &d.body); err != nil {
				d.err = fmt.Errorf("%w: %w", errNoJSON, err)
			}
			d.whole.Store(true)
		}
	}
	return d.body, d.err
}

func (d *document) field(path []Step) []byte {
	if !d.found.Load() {
		d.find()
	}
	value := d.root
	if len(path) > 0 && len(d.members) > 0 {
		if path[0].Element {
			return nil
		}
		value, path = d.member(path[0].Name), path[1:]
	}
	for _, step := range path {
		if value == nil {
			return nil
		}
		value = child(value, step)
	}
	return value
}

// member returns the last field of that name, as encoding/json does. There is one at least.
func (d *document) member(name string) []byte {
	if m := &d.members[d.asked.Load()]; m.named(d.data, name) {
		return d.data[m.value:m.valueEnd]
	}
	for i := len(d.members) - 1; i >= 0; i-- {
		if m := &d.members[i]; m.named(d.data, name) {
			d.asked.Store(int32(i))
			return d.data[m.value:m.valueEnd]
		}
	}
	return nil
}

// find looks through the text once: whether it is valid, and where the fields are.
func (d *document) find() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found.Load() {
		return
	}
	s := scanner{data: d.data, members: d.members[:0]}
	if cap(s.members) == 0 {
		s.members = make([]member, 0, usualMembers)
	}
	start := s.space(0)
	end := s.root(start)
	if end >= 0 && s.space(end) == len(d.data) {
		d.root, d.members = d.data[start:end], s.members
		d.asked.Store(int32(len(s.members) - 1)) // the last of its name, for sure
	}
	d.found.Store(true)
}
