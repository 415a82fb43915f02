package broker

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// Inlet is who takes the messages in, besides the clients that subscribe.
type Inlet interface {
	// Wants tells whether messages of topic are to be offered. After its answers
	// have changed, Refresh of the broker has to be called.
	Wants(topic string) bool
	// Offer hands over a message of QoS 0, and never blocks.
	Offer(m *Message)
	// Open begins the messages of QoS 1 and 2 of a client, whose keep-alive (in
	// seconds) may be 0. end ends its connection.
	Open(client string, keepAlive uint16, end func(error)) Gate
}

// Gate takes the messages of one connection.
type Gate interface {
	// Keep hands over a message that came with a packet id, and never blocks.
	// kept is called when its outcome is durable, in the order of Keep.
	Keep(m *Message, id uint16, again bool, kept func())
	// Close ends it; kept may be called all the same.
	Close()
}

// Login is what a client says of itself.
type Login struct {
	User     string
	Named    bool // it gave a user name
	Password []byte
	ClientID string
	Remote   string // its address
}

// Rights are the topic filters that a client may use. "%u" in them stands for
// its user name and "%c" for its client id. A nil list allows everything but
// what begins with "$".
type Rights struct{ Publish, Subscribe []string }

// expand writes user and client id into the filters. A client id that has the
// signs of a filter in it fits none with "%c".
func (r Rights) expand(user, client string) Rights {
	odd := strings.ContainsAny(client, "/+#") || client == ""
	each := func(filters []string) []string {
		if filters == nil {
			return nil
		}
		out := []string{}
		for _, f := range filters {
			if !strings.Contains(f, "%c") || !odd {
				out = append(out, strings.NewReplacer("%u", user, "%c", client).Replace(f))
			}
		}
		return out
	}
	return Rights{Publish: each(r.Publish), Subscribe: each(r.Subscribe)}
}

func (r *Rights) mayPublish(topic string) bool {
	match := func(filter string) bool { return agent.MatchTopic(filter, topic) }
	return r.Publish == nil || slices.ContainsFunc(r.Publish, match)
}

// reserved tells that a topic is the broker's own: what clients publish to it
// is acknowledged and goes nowhere, since other brokers tell of their state so.
func reserved(topic string) bool { return strings.HasPrefix(topic, "$") }

func (r *Rights) maySubscribe(filter string) bool {
	covers := func(wide string) bool { return Covers(wide, filter) }
	return r.Subscribe == nil || slices.ContainsFunc(r.Subscribe, covers)
}

// Limits bound what clients can take. Zero values are replaced by defaults.
type Limits struct {
	Clients    int           // connections, and sessions; 0 means 1000
	Packet     int           // bytes of the largest packet; 0 means 256 KiB
	Inflight   int           // unacknowledged messages of a client, each way; 0 means 256
	Queue      int           // messages that wait for one session; 0 means 1000
	QueueBytes int           // of what waits for all sessions; 0 means 16 MiB
	HeldBytes  int           // of what publishers wait for; 0 means 16 MiB
	Retained   int           // messages; 0 means 10,000
	KeptBytes  int           // of retained messages; 0 means 16 MiB
	Filters    int           // of one session; 0 means 1000
	Away       time.Duration // how long a session outlives its connection; 0 means a week
}

func (l *Limits) fill() {
	l.Clients = cmp.Or(l.Clients, 1000)
	l.Packet = cmp.Or(l.Packet, 256<<10)
	l.Inflight = cmp.Or(l.Inflight, 256)
	l.Queue = cmp.Or(l.Queue, 1000)
	l.QueueBytes = cmp.Or(l.QueueBytes, 16<<20)
	l.HeldBytes = cmp.Or(l.HeldBytes, 16<<20)
	l.Retained = cmp.Or(l.Retained, 10_000)
	l.KeptBytes = cmp.Or(l.KeptBytes, 16<<20)
	l.Filters = cmp.Or(l.Filters, 1000)
	l.Away = cmp.Or(l.Away, 7*24*time.Hour)
}

// Options say who may do what. Inlet and Login are needed.
type Options struct {
	Inlet  Inlet
	Login  func(Login) (rights Rights, ok bool)
	Path   string // file of sessions and retained messages; "" keeps them in memory only
	Limits Limits
	Log    *slog.Logger // nil: slog.Default()
}
