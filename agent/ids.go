package agent

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
)

// ids gives event ids: device / start / number. Starts are counted in the
// store, so an id never comes twice; both numbers are padded, so that ids of a
// device sort by age.
type ids struct {
	prefix string
	last   atomic.Uint64
}

const (
	startDigits = 5 // base 36: 60 million starts
	eventDigits = 8 // base 36: 2.8e12 events per start
	agentScope  = "agent"
	startKey    = "starts"
)

// newIDs counts this start, durably.
func newIDs(ctx context.Context, store Store, device string) (*ids, error) {
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
	n++
	text := strconv.FormatUint(n, 36)
	f := &Frame{Writes: []Write{{Scope: agentScope, Key: startKey, Value: []byte(text)}}}
	if err := store.Commit(ctx, f); err != nil {
		return nil, fmt.Errorf("count this start: %w", err)
	}
	return &ids{prefix: device + "/" + pad(text, startDigits) + "/"}, nil
}

func (g *ids) next() string {
	return g.prefix + pad(strconv.FormatUint(g.last.Add(1), 36), eventDigits)
}

func pad(s string, width int) string {
	const zeros = "00000000"
	return zeros[:max(0, width-len(s))] + s
}

// derivedID names an output of a run so that a rerun gives it the same id.
func derivedID(event string, fn *Function, index int) string {
	return event + "/" + fn.Name + "/" + fn.Digest.Short() + "/" + strconv.Itoa(index)
}
