package agent

import (
	"context"
	"encoding/json"
	"sync"
)

// gatherDisk is a modelDisk for many goroutines, whose commits fail as told.
type gatherDisk struct {
	*modelDisk
	mu     sync.Mutex
	before func(f *Frame) error // of each frame
	after  func(f *Frame) error
}

func (d *gatherDisk) Commit(_ context.Context, f *Frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.before(f); err != nil {
		return err
	}
	d.modelDisk.append(f)
	return d.after(f)
}

func (d *gatherDisk) Get(scope, key string) ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Get(scope, key)
}

func (d *gatherDisk) Read(scope, key string) (Write, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Read(scope, key)
}

func (d *gatherDisk) Keys(scope, prefix string, limit int) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Keys(scope, prefix, limit)
}

func (d *gatherDisk) Pending(queue string) []Stub {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Pending(queue)
}

func (d *gatherDisk) Queues() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Queues()
}

func (d *gatherDisk) Has(seq uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Has(seq)
}

func (d *gatherDisk) Record(seq uint64) (Record, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.modelDisk.Record(seq)
}

// dataTime is a language whose only expression is the field t of the data.
type dataTime struct{}

func (dataTime) Condition(string, []string) (stateless, stateful Predicate, err error) {
	return nil, nil, nil
}
func (dataTime) Template(string, []string) (Template, error) { return nil, errBroken }
func (dataTime) Value(string, []string) (Value, error)       { return timeField{}, nil }

type timeField struct{}

func (timeField) Value(t Terms) (any, error) {
	var body struct{ T string }
	err := json.Unmarshal(t.Event.Data, &body)
	return body.T, err
}
