package sensors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

var errNoAnswer = errors.New("the broker did not answer in time")

// subscribe makes the broker's session hold the wanted filters and no others.
// A filter that the broker refuses is told in the status and tried again with
// the next connection. New filters come before old ones go, so that replacing
// one by a wider one leaves no gap.
func (l *link) subscribe(ctx context.Context) error {
	m := l.m
	add, remove := m.session.plan(m.want())
	var refused []string
	filters := sortedKeys(add)
	answers := make([]chan answer, len(filters))
	for i, filter := range filters {
		answers[i] = make(chan answer, 1)
		err := l.conn.Subscribe(filter, add[filter], func(code byte, err error) { answers[i] <- answer{code, err} })
		if err != nil {
			return fmt.Errorf("filter %s: %w", filter, err)
		}
	}
	for i, filter := range filters {
		code, err := l.wait(ctx, answers[i])
		if err != nil {
			return fmt.Errorf("filter %s: %w", filter, err)
		}
		switch {
		case code == mqtt.CodeRefused:
			m.session.removed(filter)
			refused = append(refused, fmt.Sprintf("the broker refuses the filter %s: check its access rules", filter))
			continue
		case code < add[filter]:
			refused = append(refused, fmt.Sprintf("the broker grants %s with QoS 0 only: its messages may be lost", filter))
		}
		m.session.granted(filter, add[filter])
	}
	if err := l.unsubscribe(ctx, remove); err != nil {
		return err
	}
	m.session.settled()
	slices.Sort(refused)
	m.setRefused(refused)
	for _, text := range refused {
		m.log.Warn("subscription not as wanted", "reason", text)
	}
	return nil
}

func (l *link) unsubscribe(ctx context.Context, filters []string) error {
	for _, filter := range filters {
		done := make(chan answer, 1)
		err := l.conn.Unsubscribe(filter, func(err error) { done <- answer{err: err} })
		if err == nil {
			_, err = l.wait(ctx, done)
		}
		if err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
		l.m.session.removed(filter)
	}
	return nil
}

// answer is what the broker says to a request.
type answer struct {
	code byte
	err  error
}

// wait waits until the broker has answered.
func (l *link) wait(ctx context.Context, c <-chan answer) (code byte, err error) {
	t := time.NewTimer(answerWait)
	defer t.Stop()
	select {
	case a := <-c:
		return a.code, a.err
	case <-l.gone:
		return 0, l.cause
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-t.C:
		return 0, errNoAnswer
	}
}
