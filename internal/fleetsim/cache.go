package fleetsim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/skerry-edge/skerry/agent"
)

// pool holds the bytes of all modules once, however many devices have them.
type pool struct {
	mu    sync.Mutex
	bytes map[agent.Digest][]byte
}

func (p *pool) get(d agent.Digest) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes[d]
}

// keep returns the one copy of data.
func (p *pool) keep(d agent.Digest, data []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bytes[d] == nil {
		p.bytes[d] = data
	}
	return p.bytes[d]
}

// cache is a fleetsync.Cache in memory. It is used by one device at a time.
type cache struct {
	pool  *pool
	mu    sync.Mutex
	blobs map[agent.Digest]bool
	parts map[agent.Digest][]byte // of blobs that are not whole
	pins  map[string][]byte
}

// roomOf is how many bytes of modules a device takes.
const roomOf = 256 << 20

func newCache(p *pool) *cache {
	return &cache{pool: p, blobs: map[agent.Digest]bool{}, parts: map[agent.Digest][]byte{}, pins: map[string][]byte{}}
}

func (c *cache) HasBlob(d agent.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.blobs[d]
}

func (c *cache) Blob(d agent.Digest) ([]byte, error) {
	if !c.HasBlob(d) {
		return nil, agent.ErrNotFound
	}
	return c.pool.get(d), nil
}

func (c *cache) PutBlob(_ context.Context, d agent.Digest, size int64, fill func(from int64, w io.Writer) error) error {
	c.mu.Lock()
	part := bytes.NewBuffer(c.parts[d])
	c.mu.Unlock()
	if err := fill(int64(part.Len()), part); err != nil {
		c.mu.Lock()
		c.parts[d] = part.Bytes()
		c.mu.Unlock()
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.parts, d)
	sum := agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(part.Bytes())))
	if sum != d || int64(part.Len()) != size {
		return fmt.Errorf("%d bytes with digest %s, not %d with %s: %w", part.Len(), sum, size, d, agent.ErrInvalid)
	}
	c.pool.keep(d, part.Bytes())
	c.blobs[d] = true
	return nil
}

func (c *cache) DeleteBlob(d agent.Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.blobs, d)
	delete(c.parts, d)
	return nil
}

func (c *cache) Blobs() ([]agent.Digest, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.blobs)), nil
}

func (c *cache) Unfinished() (map[agent.Digest]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[agent.Digest]int64{}
	for d, part := range c.parts {
		out[d] = int64(len(part))
	}
	return out, nil
}

func (c *cache) Room(int64) (int64, error) { return roomOf, nil }

func (c *cache) Pin(name string, value []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pins[name] = bytes.Clone(value)
	return nil
}

func (c *cache) Pinned(name string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pins[name] == nil {
		return nil, agent.ErrNotFound
	}
	return c.pins[name], nil
}
