package main

import (
	"log/slog"
	"sync"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// hints are what the fleet's broker says of new revisions. Anybody may send them: all
// they do is have the registry asked sooner, as often as the puller allows.
type hints struct {
	wake func() // never waits; nil: there is nobody
	log  *slog.Logger

	mu   sync.Mutex
	last fleetsync.Hint // it comes again with every connection
}

// hear takes a message of the broker; it is the agent.Offer of the connection.
func (h *hints) hear(ev *agent.Event, done func(error)) {
	if done != nil {
		defer done(nil)
	}
	hint, err := fleetsync.ParseHint(ev.Data)
	if err != nil {
		h.log.Debug("what came as a hint is none", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if hint == h.last || h.wake == nil {
		return
	}
	h.last = hint
	h.log.Info("there may be something new: the registry is asked soon", "revision", hint.Revision)
	h.wake()
}
