package agent_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/skerry-edge/skerry/agent"
)

func TestDeadLetterBoxIsBoundedOldestFirst(t *testing.T) {
	b := start(t, newMemory(), guests{"app/picky": func(context.Context, *agent.Invocation) error {
		return agent.ErrReject
	}}, agent.Options{})
	b.apply([]agent.Function{fn("app/picky")}, on("app/picky", "s"))
	const events = 1100
	var acks []<-chan error
	for i := range events {
		acks = append(acks, b.offer("s", fmt.Sprint(i), agent.Origin{}))
	}
	for _, acked := range acks {
		b.wait(acked)
	}
	b.eventually("the box is within its bounds", func() error {
		if n := len(b.store.queue(agent.QueueDead)); n != 1000 {
			return fmt.Errorf("%d letters", n)
		}
		return nil
	})
	if first := string(b.store.queue(agent.QueueDead)[0].Event.Data); first != "100" {
		t.Errorf("the oldest left is event %s, want 100", first)
	}
	if s := b.status().Events; s.DeadEvicted != events-1000 || s.Dead != events {
		t.Errorf("counts = %+v", s)
	}
}
