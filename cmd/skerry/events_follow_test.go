package main

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/internal/recording"
)

// ended is a feed of an agent that is gone.
type ended struct{ io.Closer }

func (ended) Next() (recording.Entry, error) { return recording.Entry{}, io.EOF }

// Who ends an agent and what listens to it at once, as a shell does with Ctrl-C, is
// not told that the agent has ended.
func TestEventsEndWithTheirAgent(t *testing.T) {
	follow := func(ctx context.Context) error {
		var o eventsOptions
		_, err := o.follow(ctx, ended{}, nil, nil)
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, stop)
		if err := follow(ctx); err != nil {
			t.Errorf("both end: %v", err)
		}
		if err := follow(t.Context()); !errors.Is(err, errAgentEnded) {
			t.Errorf("the agent alone ends: %v", err)
		}
	})
}
