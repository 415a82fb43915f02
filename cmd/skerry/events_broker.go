package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// brokerFeed is a broker that is listened to without an agent. It waits for who
// is slow: nothing is left out here.
type brokerFeed struct {
	client  paho.Client
	start   time.Time
	entries chan recording.Entry
	ended   <-chan struct{}
	lost    chan error
}

// brokerPatience is how long a broker may take to answer.
const brokerPatience = 20 * time.Second

// listenTo subscribes to filter, or to all topics, in a session that the broker
// forgets.
func listenTo(ctx context.Context, brokerURL, filter string) (*brokerFeed, error) {
	b := &brokerFeed{
		start: time.Now().Round(0), entries: make(chan recording.Entry, 256), ended: ctx.Done(), lost: make(chan error, 1),
	}
	var err error
	b.client, err = connectTo(brokerURL, func(err error) { b.lost <- fmt.Errorf("the connection to the broker ended: %w", err) })
	if err != nil {
		return nil, err
	}
	err = answered(b.client.Subscribe(cmp.Or(filter, "#"), 1, b.take))
	if err != nil {
		b.client.Disconnect(0)
		return nil, fmt.Errorf("subscribe to %s: %w", cmp.Or(filter, "#"), err)
	}
	return b, nil
}

// take is given each message, one after the other.
func (b *brokerFeed) take(_ paho.Client, m paho.Message) {
	kind := "application/octet-stream" // as an agent's source tells them apart
	if data := m.Payload(); len(data) > 0 && (data[0] == '{' || data[0] == '[') && utf8.Valid(data) {
		kind = "application/json"
	}
	at := time.Now()
	ev := &agent.Event{
		Subject: m.Topic(), Data: m.Payload(), ContentType: kind, Type: recording.TypeMQTT, Time: at.Round(0),
		QoS: min(m.Qos(), 1), Retained: m.Retained(),
	}
	select {
	case b.entries <- recording.Entry{At: at.Sub(b.start), Event: ev}:
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

func (b *brokerFeed) Close() error {
	b.client.Disconnect(100)
	return nil
}

// connectTo opens a connection in a session of its own that ends with it.
func connectTo(brokerURL string, lost func(error)) (paho.Client, error) {
	u, err := url.Parse(brokerURL)
	if err != nil || u.Host == "" {
		return nil, usageError{errors.New("a broker is named as in mqtt://127.0.0.1:1883, or mqtts://USER:PASSWORD@HOST:8883")}
	}
	opts := paho.NewClientOptions().AddBroker(brokerURL).SetClientID(fmt.Sprintf("skerry-events-%x", time.Now().UnixNano())).
		SetAutoReconnect(false).SetConnectTimeout(brokerPatience).SetWriteTimeout(brokerPatience).
		SetConnectionLostHandler(func(_ paho.Client, err error) { lost(err) })
	c := paho.NewClient(opts)
	if err := answered(c.Connect()); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.TrimPrefix(u.Redacted(), "//"), err)
	}
	return c, nil
}

// answered waits for the broker's answer.
func answered(t paho.Token) error {
	if !t.WaitTimeout(brokerPatience) {
		return fmt.Errorf("the broker did not answer for %s", brokerPatience)
	}
	return t.Error()
}
