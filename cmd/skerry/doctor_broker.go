package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
	"github.com/skerry-edge/skerry/sensors/probe"
)

// askWithin is how long others on the network may take to answer.
const askWithin = 4 * time.Second

// checkBrokers connects to each broker as a client that is forgotten afterwards, and
// looks for what loses messages there. Filters are those that the running agent
// subscribes to, by the name of the broker.
func checkBrokers(ctx context.Context, cfg *Config, filters map[string][]string) []finding {
	brokers := cfg.Brokers
	if cfg.Fleet.URL != "" {
		brokers = append(brokers[:len(brokers):len(brokers)], *cfg.Fleet.own())
	}
	found := make([][]finding, len(brokers))
	var asking sync.WaitGroup
	for i := range brokers {
		asking.Go(func() { found[i] = checkBroker(ctx, &brokers[i], filters[brokers[i].Name]) })
	}
	asking.Wait()
	var all []finding
	for _, f := range found {
		all = append(all, f...)
	}
	return all
}

func checkBroker(ctx context.Context, b *BrokerConfig, filters []string) []finding {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	id := fmt.Sprintf("skerry-doctor-%08x", rand.Uint32())
	m, err := sensors.NewMQTT(sensors.MQTTOptions{
		Name: b.Name, URL: b.URL, Username: b.Username, Password: b.Password, PasswordFile: b.PasswordFile,
		CAFile: b.CAFile, CertFile: b.CertFile, KeyFile: b.KeyFile, ClientID: id, Dial: (&net.Dialer{}).DialContext,
	})
	if err != nil {
		return []finding{{"broker", failing, oneSentence(err), ""}}
	}
	facts, err := probe.Run(ctx, probe.Options{ClientID: id, Filters: filters, Dial: m.Dial})
	var refused *probe.Refusal
	switch {
	case errors.As(err, &refused):
		return []finding{{
			"broker", failing, b.Name + ": " + refused.Error(),
			"mend it in the configuration or at the broker; where the broker's rules name client ids, that of the agent may be let in all the same: skerry status tells",
		}}
	case err != nil:
		return []finding{{"broker", failing, b.Name + " does not answer: " + reachText(err), "check the address, the cable, and that the broker runs; until then no event comes from it"}}
	}
	return brokerFindings(b, &facts)
}

// reachText is why somebody was not reached, in a sentence.
func reachText(err error) string {
	var unknown *net.DNSError
	switch {
	case errors.As(err, &unknown) && unknown.IsNotFound:
		return "nobody knows the name " + unknown.Name + " here"
	case errors.As(err, &unknown):
		return "the name " + unknown.Name + " cannot be looked up: no name server answers"
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, net.ErrClosed):
		return fmt.Sprintf("nothing came back within %s", askWithin)
	}
	return oneSentence(err)
}

// brokerFindings says what of a broker's ways loses messages.
func brokerFindings(b *BrokerConfig, f *probe.Facts) (all []finding) {
	add := func(state findingState, text, next string) {
		all = append(all, finding{"broker", state, b.Name + ": " + text, next})
	}
	l := &f.Limits
	if !f.Keeps {
		add(failing, "it keeps no session, so what comes while the agent is away or restarts is lost", "let it keep sessions (mosquitto: persistence true; EMQX: session_expiry_interval)")
	}
	if f.V5 && l.SessionExpiry != probe.Forever {
		keeps := time.Duration(l.SessionExpiry) * time.Second
		add(warning, fmt.Sprintf("it keeps a session for %s only: what came before is lost when the agent is away for longer", keeps), "raise the session expiry there, to the longest outage that must lose nothing")
	}
	if f.V5 && l.MaxQoS < 1 || len(f.Lowered) > 0 {
		add(failing, "it gives messages at QoS 0 only, which nobody sends again when they are lost", "allow QoS 1 there (mosquitto: max_qos 1, or leave it out)")
	}
	if len(f.Refused) > 0 {
		add(failing, "it lets this client not subscribe to "+few(f.Refused), "change its access rules; the agent's triggers need these")
	}
	for _, filter := range b.wild(f) {
		add(failing, "it takes no filter with + or #, and a trigger has "+filter, "allow wildcards there, or name the topics")
	}
	if l.MaxPacket > 0 && int64(l.MaxPacket) < int64(b.MaxPacket) {
		add(warning, fmt.Sprintf("it takes packets of %s at most, and drops whoever sends a larger one; max_packet here is %s", agent.BytesText(int64(l.MaxPacket)), agent.BytesText(int64(b.MaxPacket))),
			"raise it there (mosquitto: max_packet_size) if sensors send such")
	}
	if f.V5 && l.NoRetain {
		add(warning, "it takes no retained messages: the agent's are refused, and after a restart nobody knows the last values", "allow them there (mosquitto: retain_available true) if an app needs them")
	}
	if f.NoShared || f.V5 && l.NoShared {
		add(warning, "it takes no shared subscriptions ($share/…)", "do without in the triggers, or allow them there")
	}
	if f.Dropped > 0 {
		add(warning, fmt.Sprintf("it has dropped %d messages since its start, by its own count ($SYS)", f.Dropped), "raise what it keeps for a client that is away or slow (mosquitto: max_queued_messages, 1000 unless it is set; max_queued_bytes)")
	}
	if len(all) > 0 {
		return all
	}
	text := "it keeps sessions, gives QoS 1"
	if f.V5 {
		text += fmt.Sprintf(", takes %s", packetText(l.MaxPacket))
	} else {
		text += "; it speaks MQTT 3.1.1 only, so it does not tell its limits"
	}
	if f.Software != "" {
		text += " (" + plainText([]byte(f.Software)) + ")"
	}
	add(fine, text, "")
	return all
}

func packetText(most uint32) string {
	if most == 0 {
		return "packets of any size"
	}
	return "packets of " + agent.BytesText(int64(most))
}

// wild is a filter with a wildcard that a broker without them cannot serve.
func (b *BrokerConfig) wild(f *probe.Facts) []string {
	if !f.V5 || !f.Limits.NoWildcards {
		return nil
	}
	for _, filter := range f.Asked {
		if strings.ContainsAny(filter, "+#") {
			return []string{filter}
		}
	}
	return nil
}

// few names the first of many.
func few(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}
