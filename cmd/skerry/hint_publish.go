package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// brokerAccess is how a command reaches the fleet's broker.
type brokerAccess struct {
	URL, Username, PasswordFile string
	CAFile, CertFile, KeyFile   string
}

// flags are the flags of a command for it; named is that of the address.
func (b *brokerAccess) flags(cmd *cobra.Command, named, help string) {
	f := cmd.Flags()
	f.StringVar(&b.URL, named, "", help)
	f.StringVar(&b.Username, "username", "", "who to be at the broker")
	f.StringVar(&b.PasswordFile, "password-file", "", "file whose first line is the password")
	f.StringVar(&b.CAFile, "broker-ca-file", "", "PEM certificates that the broker's is checked against, instead of the system's")
	f.StringVar(&b.CertFile, "cert-file", "", "this client's certificate, PEM")
	f.StringVar(&b.KeyFile, "key-file", "", "its key, PEM")
}

// connectWithin is how long a command tries to reach a broker.
const connectWithin = 15 * time.Second

// client is not connected yet. Its own log goes nowhere: who uses it tells what is
// wrong. An error is a usageError.
func (b *brokerAccess) client() (*sensors.MQTT, error) {
	m, err := sensors.NewMQTT(sensors.MQTTOptions{
		Name: "cli", Device: "cli", ClientID: "skerry-cli-" + rand.Text()[:12], Clean: true, URL: b.URL,
		Username: b.Username, PasswordFile: b.PasswordFile, CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, usageError{err}
	}
	return m, nil
}

// connected has use talk to the broker.
func (b *brokerAccess) connected(ctx context.Context, offer agent.Offer, use func(context.Context, *sensors.MQTT) error) error {
	m, err := b.client()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx, offer) }()
	defer func() {
		stop()
		<-ended
	}()
	soon, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	if err := m.Connected(soon); err != nil {
		return fmt.Errorf("reach the broker: %w", err)
	}
	return use(ctx, m)
}

// publishHint tells the devices of a fleet that there is something new. The message
// stays at the broker for those that are away.
func publishHint(ctx context.Context, broker brokerAccess, fleet string, hint fleetsync.Hint) error {
	if err := fleetsync.CheckTopicName(fleet); err != nil {
		return usageError{fmt.Errorf("the name of a fleet %w", err)}
	}
	rec := agent.Record{Event: agent.Event{Subject: fleetsync.HintTopic(fleet), Data: hint.Encode(), QoS: 1}, Retain: true}
	err := broker.connected(ctx, func(*agent.Event, func(error)) {}, func(ctx context.Context, m *sensors.MQTT) error {
		soon, cancel := context.WithTimeout(ctx, connectWithin)
		defer cancel()
		return m.Send(soon, []agent.Record{rec})[0]
	})
	if errors.Is(err, context.DeadlineExceeded) {
		err = cmp.Or(context.Cause(ctx), errSilent)
	}
	if err != nil {
		return fmt.Errorf("tell the devices that there is something new: %w; they find out at their next look, or when it is run again", err)
	}
	return nil
}
