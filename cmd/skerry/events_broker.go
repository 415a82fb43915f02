package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// brokerFeed is a broker that is listened to without an agent. It waits for who
// is slow: nothing is left out here.
type brokerFeed struct {
	conn    *brokerConn
	start   time.Time
	entries chan recording.Entry
	ended   <-chan struct{}
	end     context.CancelFunc
	lost    chan error
}

// listenTo subscribes to filter, or to all topics, in a session that the broker
// forgets.
func listenTo(ctx context.Context, brokerURL, filter string) (*brokerFeed, error) {
	b := &brokerFeed{start: time.Now().Round(0), entries: make(chan recording.Entry, 256), lost: make(chan error, 1)}
	var err error
	b.conn, err = connectTo(ctx, brokerURL, eventsClient(), b.take)
	if err != nil {
		return nil, err
	}
	ctx, b.end = context.WithCancel(ctx)
	b.ended = ctx.Done()
	b.conn.start(func(err error) { b.lost <- connectionEnded(err) })
	answer := make(chan error, 1)
	err = b.conn.Subscribe(cmp.Or(filter, "#"), 1, func(code byte, err error) {
		if code == mqtt.CodeRefused {
			err = errors.New("the broker refuses it: check its access rules")
		}
		answer <- err
	})
	if err == nil {
		err = answered(answer)
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("subscribe to %s: %w", cmp.Or(filter, "#"), err)
	}
	return b, nil
}

// take is given each message, one after the other.
func (b *brokerFeed) take(m *mqtt.Message) {
	kind := "application/octet-stream" // as an agent's source tells them apart
	if data := m.Payload; len(data) > 0 && (data[0] == '{' || data[0] == '[') && utf8.Valid(data) {
		kind = "application/json"
	}
	at := time.Now()
	ev := &agent.Event{
		Subject: m.Topic, Data: m.Payload, ContentType: kind, Type: recording.TypeMQTT, Time: at.Round(0),
		QoS: min(m.QoS, 1), Retained: m.Retained,
	}
	select {
	case b.entries <- recording.Entry{At: at.Sub(b.start), Event: ev}:
		b.conn.acknowledge(m)
	case <-b.ended:
	}
}

// Next waits for a message.
func (b *brokerFeed) Next() (recording.Entry, error) {
	select {
	case e := <-b.entries:
		return e, nil
	case err := <-b.lost:
		return recording.Entry{}, err
	case <-b.ended:
		return recording.Entry{}, context.Canceled
	}
}

// Close implements io.Closer.
func (b *brokerFeed) Close() error {
	b.end()
	b.conn.close()
	return nil
}
