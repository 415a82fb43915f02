package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// ids gives event ids: device / store / start / number. The store has a random
// name, so a device whose card was replaced never repeats an id of its earlier
// life; starts are counted in it. All parts have a fixed width, so the ids of a
// store sort by age.
type ids struct {
	prefix string
	last   atomic.Uint64
}

const (
	startDigits = 5 // base 36: 60 million starts
	eventDigits = 8 // base 36: 2.8e12 events per start
	nameDigits  = 6 // base 32: one in 1e9 shares a name with its predecessor
	agentScope  = "agent"
	startKey    = "starts"
	nameKey     = "store"
)

// newIDs counts this start, durably.
func newIDs(ctx context.Context, store Store, device string) (*ids, error) {
	name, err := store.Get(agentScope, nameKey)
	if err != nil {
		return nil, fmt.Errorf("read the name of the store: %w", err)
	}
	f := &Frame{}
	if name == nil {
		name = []byte(strings.ToLower(rand.Text()[:nameDigits]))
		f.Writes = append(f.Writes, Write{Scope: agentScope, Key: nameKey, Value: name})
	}
	value, err := store.Get(agentScope, startKey)
	if err != nil {
		return nil, fmt.Errorf("read the number of starts: %w", err)
	}
	var n uint64
	if value != nil {
		if n, err = strconv.ParseUint(string(value), 36, 64); err != nil {
			return nil, fmt.Errorf("read the number of starts %q: %w", value, err)
		}
	}
	start := strconv.FormatUint(n+1, 36)
	f.Writes = append(f.Writes, Write{Scope: agentScope, Key: startKey, Value: []byte(start)})
	if err := store.Commit(ctx, f); err != nil {
		return nil, fmt.Errorf("count this start: %w", err)
	}
	return &ids{prefix: device + "/" + string(name) + "/" + pad(start, startDigits) + "/"}, nil
}

func (g *ids) next() string {
	return g.prefix + pad(strconv.FormatUint(g.last.Add(1), 36), eventDigits)
}

func pad(s string, width int) string {
	const zeros = "00000000"
	return zeros[:max(0, width-len(s))] + s
}

// derivedID names an output of a run so that a rerun gives it the same id. What
// a dead letter sends out has ids of its own: the event may run again later.
func derivedID(event string, fn *Function, dead bool, index int) string {
	kind := "/"
	if dead {
		kind = "/dead-"
	}
	return event + "/" + fn.Name + "/" + fn.Version() + kind + strconv.Itoa(index)
}
