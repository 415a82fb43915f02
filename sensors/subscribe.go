package sensors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

const refusedCode = 0x80 // in a SUBACK, MQTT 3.1.1 section 3.9.3

var errNoAnswer = errors.New("the broker did not answer in time")

// subscribe makes the broker's session hold the wanted filters and no others.
// A filter that the broker refuses is told in the status and tried again with
// the next connection. New filters come before old ones go, so that replacing
// one by a wider one leaves no gap.
func (l *link) subscribe(ctx context.Context) error {
	m := l.m
	add, remove := m.session.plan(m.want())
	var refused []string
	tokens := map[string]paho.Token{}
	for _, filter := range sortedKeys(add) {
		tokens[filter] = l.client.Subscribe(filter, add[filter], nil)
	}
	for filter, token := range tokens {
		if err := l.answer(ctx, token); err != nil {
			return fmt.Errorf("filter %s: %w", filter, err)
		}
		code := grantedQoS(token)
		switch {
		case code == refusedCode:
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
	if len(filters) == 0 {
		return nil
	}
	if err := l.answer(ctx, l.client.Unsubscribe(filters...)); err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	for _, filter := range filters {
		l.m.session.removed(filter)
	}
	return nil
}

// answer waits until the broker has answered.
func (l *link) answer(ctx context.Context, token paho.Token) error {
	t := time.NewTimer(answerWait)
	defer t.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-l.gone:
		return l.cause
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return errNoAnswer
	}
}

// grantedQoS is the one code in the answer to a subscription to one filter.
func grantedQoS(token paho.Token) byte {
	for _, code := range token.(*paho.SubscribeToken).Result() {
		return code
	}
	return refusedCode
}
