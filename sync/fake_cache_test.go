package fleetsync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/skerry-edge/skerry/agent"
)

// memory is a Cache in memory.
type memory struct {
	mu    sync.Mutex
	blobs map[agent.Digest][]byte
	begun map[agent.Digest][]byte
	pins  map[string][]byte
	wrote map[string]int // how often each was
	room  int64
	// lives is how many changes there will be; after that the machine is off.
	lives int
	dead  bool
}

var errOff = errors.New("the machine is off")

// change counts a change. The lock is held.
func (m *memory) change() error {
	if m.lives > 0 {
		m.lives--
		m.dead = m.lives == 0
	}
	if m.dead {
		return errOff
	}
	return nil
}

func (m *memory) dieAfter(changes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lives = changes
}

func (m *memory) died() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// clone is what is there, for another life.
func (m *memory) clone() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{blobs: maps.Clone(m.blobs), begun: maps.Clone(m.begun), pins: maps.Clone(m.pins), room: m.room}
}

func newMemory() *memory {
	return &memory{blobs: map[agent.Digest][]byte{}, begun: map[agent.Digest][]byte{}, pins: map[string][]byte{}, room: 1 << 30}
}

func (m *memory) HasBlob(d agent.Digest) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blobs[d] != nil
}

func (m *memory) Blob(d agent.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.blobs[d] == nil {
		return nil, agent.ErrNotFound
	}
	return m.blobs[d], nil
}

func (m *memory) PutBlob(_ context.Context, d agent.Digest, size int64, fill func(int64, io.Writer) error) error {
	m.mu.Lock()
	buf := bytes.NewBuffer(bytes.Clone(m.begun[d]))
	m.mu.Unlock()
	var err error
	if int64(buf.Len()) < size {
		err = fill(int64(buf.Len()), buf)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if dead := m.change(); dead != nil {
		return dead
	}
	if m.begun[d] = buf.Bytes(); err != nil {
		return err
	}
	delete(m.begun, d)
	if got := digestOf(buf.Bytes()); got != d || int64(buf.Len()) != size {
		return fmt.Errorf("digest is %s, not %s: %w", got, d, agent.ErrInvalid)
	}
	m.blobs[d] = buf.Bytes()
	return nil
}

func (m *memory) DeleteBlob(d agent.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(); err != nil {
		return err
	}
	delete(m.blobs, d)
	delete(m.begun, d)
	return nil
}

func (m *memory) Blobs() ([]agent.Digest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.blobs)), nil
}

func (m *memory) Unfinished() (map[agent.Digest]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[agent.Digest]int64{}
	for d, b := range m.begun {
		out[d] = int64(len(b))
	}
	return out, nil
}

func (m *memory) Room(int64) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.room, nil
}

func (m *memory) Pin(name string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.change(); err != nil {
		return err
	}
	m.pins[name] = bytes.Clone(value)
	if m.wrote == nil {
		m.wrote = map[string]int{}
	}
	m.wrote[name]++
	return nil
}

func (m *memory) Pinned(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pins[name] == nil {
		return nil, agent.ErrNotFound
	}
	return m.pins[name], nil
}
