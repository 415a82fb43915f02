package agent

import (
	"fmt"
	"strings"
)

const brokerPrefix = "$broker/"

// SplitBroker reads a topic, or a filter of topics, to publish to: one of the
// form $broker/<name>/<topic> names the broker. broker is "" for any other,
// which goes to the broker the event came from, or the device's first.
func SplitBroker(text string) (broker, topic string, err error) {
	rest, named := strings.CutPrefix(text, brokerPrefix)
	if !named {
		return "", text, nil
	}
	broker, topic, _ = strings.Cut(rest, "/")
	if broker == "" || topic == "" || strings.ContainsAny(broker, "+#") {
		return "", "", fmt.Errorf("%q: a broker is named as %s<name>/<topic>", text, brokerPrefix)
	}
	return broker, topic, nil
}

// destination is the broker that p goes to, and its topic there.
func (a *Agent) destination(ev *Event, p *Publish) (broker, topic string) {
	broker, topic, err := SplitBroker(p.Topic)
	switch {
	case err != nil: // checked when the app was published and when it ran
		return "", p.Topic
	case broker != "":
		return broker, topic
	case a.opts.Publishers[ev.Via] != nil:
		return ev.Via, topic
	}
	return a.opts.DefaultBroker, topic
}
