package main

import (
	"context"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/store"
)

// notes keeps what sources must remember, in the store.
type notes struct {
	store *store.Store
	lazy  bool // durable before anything that is committed later, and within a second
}

const notesScope = "note"

func (n notes) Get(key string) ([]byte, error) { return n.store.Get(notesScope, key) }

func (n notes) Put(key string, value []byte) error {
	f := &agent.Frame{Writes: []agent.Write{{Scope: notesScope, Key: key, Value: value}}, Lazy: n.lazy}
	if n.lazy {
		f.Within = time.Second
	}
	return n.store.Commit(context.Background(), f)
}
