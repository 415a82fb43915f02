package sensors

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/skerry-edge/skerry/agent"
)

// maxHold is how long a client's publish waits for its outcome. The broker
// reads nothing else of that client meanwhile, so it is cut to half of the
// client's keep-alive.
const maxHold = 10 * time.Second

var errHold = errors.New("the agent did not keep the event in time")

// brokerHook is all that the agent has to do with mochi's packets.
type brokerHook struct {
	mochi.HookBase
	b   *Broker
	run *brokerRun
}

// ID implements mochi.Hook.
func (h *brokerHook) ID() string { return "skerry" }

// Provides implements mochi.Hook.
func (h *brokerHook) Provides(method byte) bool {
	switch method {
	case mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnWillSent:
		return true
	}
	return false
}

// OnConnectAuthenticate checks the password.
func (h *brokerHook) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	name := string(pk.Connect.Username)
	if h.b.allowed(name, pk.Connect.Password) {
		return true
	}
	h.b.log.Warn("client refused: unknown user or wrong password", "user", name, "remote", cl.Net.Remote)
	return false
}

// OnACLCheck lets clients use every topic, but not write the broker's own.
func (h *brokerHook) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return !write || !strings.HasPrefix(topic, "$")
}

// OnPublish makes an event of a client's message. A message of QoS 1 or 2
// waits here until its outcome is durable, and only then does mochi
// acknowledge it. If the agent cannot keep it, the client is disconnected
// without an acknowledgement: it sends the message again when it is back.
func (h *brokerHook) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline || !h.b.wants(pk.TopicName) || agent.CheckTopic(pk.TopicName) != nil {
		return pk, nil // the agent's own publishes were offered by Send and Publish
	}
	msg := message{
		topic: pk.TopicName, data: pk.Payload, qos: pk.FixedHeader.Qos,
		retained: false, duplicate: pk.FixedHeader.Dup,
	}
	if msg.qos == 0 {
		h.run.offer(h.b.event(&msg), nil)
		return pk, nil
	}
	msg.slot = slot(h.b.opts.Name+"/"+plainID(cl.ID), pk.PacketID)
	if err := h.b.keep(h.run, h.b.event(&msg), holdFor(cl.State.Keepalive)); err != nil {
		cl.Stop(err)
		return pk, packets.ErrRejectPacket // the one error after which mochi does nothing
	}
	return pk, nil
}

// OnWillSent makes an event of a client's last will. Nobody is there to send
// it again, so it counts as QoS 0.
func (h *brokerHook) OnWillSent(_ *mochi.Client, pk packets.Packet) {
	if h.b.wants(pk.TopicName) && agent.CheckTopic(pk.TopicName) == nil {
		h.run.offer(h.b.event(&message{topic: pk.TopicName, data: pk.Payload}), nil)
	}
}

func (b *Broker) event(m *message) *agent.Event {
	return m.event(sourceURI(b.opts.Device, b.opts.Name), b.opts.Name)
}

// keep offers ev until its outcome is durable, for at most limit.
func (b *Broker) keep(run *brokerRun, ev *agent.Event, limit time.Duration) error {
	b.inflight.Add(1)
	defer b.inflight.Add(-1)
	over := time.NewTimer(limit)
	defer over.Stop()
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		outcome := make(chan error, 1)
		run.offer(ev, func(err error) { outcome <- err })
		select {
		case err := <-outcome:
			if err == nil {
				return nil
			}
			if errors.Is(err, agent.ErrDeliveredAgain) {
				return errHold // by a newer connection of this client
			}
		case <-over.C:
			return errHold
		case <-run.stop:
			return errNotRunning
		}
		select {
		case <-time.After(delay):
		case <-over.C:
			return errHold
		case <-run.stop:
			return errNotRunning
		}
	}
}

// holdFor is how long a publish of a client with this keep-alive (seconds, 0
// for none) may wait.
func holdFor(keepAlive uint16) time.Duration {
	if keepAlive == 0 {
		return maxHold
	}
	return min(maxHold, time.Duration(keepAlive)*time.Second/2)
}

// plainID is a client id as part of a slot: clients choose their ids freely.
func plainID(id string) string {
	odd := strings.ContainsFunc(id, func(r rune) bool { return !isPlain(r) })
	if odd || len(id) > maxClientID {
		return fmt.Sprintf("%016x", hash(id, nil))
	}
	return id
}

// hashUsers keeps passwords as hashes, so that comparing them takes the same
// time for all of them.
func hashUsers(users []User) (map[string][32]byte, error) {
	hashes := make(map[string][32]byte, len(users))
	for _, u := range users {
		if u.Name == "" || u.Password == "" {
			return nil, fmt.Errorf("user %q needs a name and a password", u.Name)
		}
		if _, twice := hashes[u.Name]; twice {
			return nil, fmt.Errorf("user %q is there twice", u.Name)
		}
		hashes[u.Name] = sha256.Sum256([]byte(u.Password))
	}
	return hashes, nil
}

// allowed tells whether name may connect with password. Without a name only
// anonymous clients do; a name that is given must be right.
func (b *Broker) allowed(name string, password []byte) bool {
	want, known := b.users[name]
	if name == "" || len(b.users) == 0 {
		return b.opts.Anonymous
	}
	got := sha256.Sum256(password)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1 && known
}
