package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"time"
)

// modelDisk is a Store whose frames reach a disk that fails, fills up, loses
// what was not synced and stops the machine at any moment.
type modelDisk struct {
	rng     *rand.Rand
	frames  []modelFrame // in the order of the journal
	synced  int          // of them, on disk
	last    uint64       // record
	state   map[stateKey]Write
	records []Record // waiting, in order
	during  func(f *Frame)
	faults  bool
}

type modelFrame struct {
	Frame
	due time.Time // synced by then
}

// powerCut is what a commit panics with when the machine stops in it.
type powerCut struct{}

var errBroken = errors.New("input/output error")

func newModelDisk(rng *rand.Rand) *modelDisk {
	return &modelDisk{rng: rng, state: map[stateKey]Write{}, during: func(*Frame) {}}
}

func (d *modelDisk) chance(percent int) bool { return d.faults && d.rng.IntN(100) < percent }

func (d *modelDisk) Commit(_ context.Context, f *Frame) error {
	if f.Lazy {
		d.append(f)
		return nil
	}
	d.during(f)
	switch {
	case d.chance(3):
		panic(powerCut{})
	case d.chance(8):
		return errBroken
	case d.chance(5) && len(f.Add) > 0:
		return ErrFull
	}
	d.append(f)
	d.synced = len(d.frames)
	if d.chance(3) {
		panic(powerCut{})
	}
	return nil
}

// append makes a frame visible.
func (d *modelDisk) append(f *Frame) {
	for i := range f.Add {
		d.last++
		f.Add[i].Seq = d.last
	}
	kept := modelFrame{Frame: *f, due: time.Now().Add(f.Within)}
	if f.Within == 0 {
		kept.due = time.Now().Add(lazySync)
	}
	kept.Writes, kept.Add, kept.Done = slices.Clone(f.Writes), slices.Clone(f.Add), slices.Clone(f.Done)
	d.frames = append(d.frames, kept)
	d.apply(&kept)
}

func (d *modelDisk) apply(f *modelFrame) {
	for _, w := range f.Writes {
		if w.Value == nil {
			delete(d.state, stateKey{w.Scope, w.Key})
		} else {
			d.state[stateKey{w.Scope, w.Key}] = w
		}
	}
	d.records = append(d.records, f.Add...)
	for _, seq := range f.Done {
		d.records = slices.DeleteFunc(d.records, func(r Record) bool { return r.Seq == seq })
	}
	for _, t := range f.Touch {
		if i := d.find(t.Seq); i >= 0 {
			d.records[i].Attempts, d.records[i].NotBefore = t.Attempts, t.NotBefore
		}
	}
}

// tick syncs the lazy frames whose time has come, and all before them.
func (d *modelDisk) tick() {
	for i := len(d.frames) - 1; i >= d.synced; i-- {
		if !time.Now().Before(d.frames[i].due) {
			d.synced = i + 1
		}
	}
}

// crash loses some of what was not synced.
func (d *modelDisk) crash() {
	d.tick()
	d.frames = d.frames[:d.synced+d.rng.IntN(len(d.frames)-d.synced+1)]
	d.synced = len(d.frames)
	d.state, d.records = map[stateKey]Write{}, nil
	for i := range d.frames {
		d.apply(&d.frames[i])
	}
}

func (d *modelDisk) find(seq uint64) int {
	return slices.IndexFunc(d.records, func(r Record) bool { return r.Seq == seq })
}

func (d *modelDisk) Get(scope, key string) ([]byte, error) {
	return d.state[stateKey{scope, key}].Value, nil
}

func (d *modelDisk) Read(scope, key string) (Write, error) {
	return d.state[stateKey{scope, key}], nil
}

func (d *modelDisk) Keys(scope, prefix string, limit int) ([]string, error) {
	var keys []string
	for k := range d.state {
		if k.scope == scope && strings.HasPrefix(k.key, prefix) {
			keys = append(keys, k.key)
		}
	}
	sort.Strings(keys)
	return keys[:min(limit, len(keys))], nil
}

func (d *modelDisk) Pending(queue string) []Stub {
	var stubs []Stub
	for i := range d.records {
		if r := &d.records[i]; r.Queue == queue {
			stubs = append(stubs, Stub{Seq: r.Seq, Size: recordSize(&r.Event), Attempts: r.Attempts, NotBefore: r.NotBefore})
		}
	}
	return stubs
}

func (d *modelDisk) Queues() []string {
	var names []string
	for i := range d.records {
		if !slices.Contains(names, d.records[i].Queue) {
			names = append(names, d.records[i].Queue)
		}
	}
	return names
}

func (d *modelDisk) Has(seq uint64) bool { return d.find(seq) >= 0 }

func (d *modelDisk) Record(seq uint64) (Record, error) {
	if i := d.find(seq); i >= 0 {
		return d.records[i], nil
	}
	return Record{}, ErrNotFound
}
