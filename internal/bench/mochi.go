package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// runMochi is a bare broker with the work in a hook, natively in Go. It keeps
// nothing and waits for nobody.
func runMochi(ctx context.Context, addr string, qos byte) error {
	s := mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(&alarmHook{server: s, qos: qos}, nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "t", Address: addr})); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := s.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

type alarmHook struct {
	mochi.HookBase
	server *mochi.Server
	qos    byte
}

func (*alarmHook) ID() string { return "alarm" }

func (*alarmHook) Provides(b byte) bool {
	return b == mochi.OnPublish || b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

func (*alarmHook) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*alarmHook) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// OnPublish does what runBare does.
func (h *alarmHook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline || !strings.HasPrefix(pk.TopicName, "sensors/") {
		return pk, nil
	}
	var r reading
	if json.Unmarshal(pk.Payload, &r) != nil || r.Temperature <= 80 {
		return pk, nil
	}
	out, err := json.Marshal(alarm{"high", r})
	if err != nil {
		return pk, nil
	}
	return pk, h.server.Publish(alarmTopic, out, false, h.qos)
}
