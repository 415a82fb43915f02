package fleetsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// brokersOf are the brokers that an App names to publish to, by where it does.
func (a *App) brokersOf() map[string][]string {
	out := map[string][]string{}
	add := func(who, text string) {
		if broker, _, err := agent.SplitBroker(text); err == nil && broker != "" {
			out[who] = append(out[who], broker)
		}
	}
	for name, fn := range a.Functions {
		for _, filter := range fn.Permissions.Publish {
			add("function "+a.Metadata.Name+"/"+name, filter)
		}
	}
	for i := range a.Triggers {
		t := &a.Triggers[i]
		who := "trigger " + a.Metadata.Name + "/" + t.Name
		for _, then := range t.Then {
			add(who, then.Publish)
		}
		if t.Retry != nil {
			add(who, t.Retry.DeadLetter)
		}
	}
	return out
}

// Warnings are things in an App that do not run as they are written, or most
// likely not as they are meant.
func (a *App) Warnings() []string {
	var out []string
	for i := range a.Triggers {
		t := &a.Triggers[i]
		if t.MQTT == nil {
			continue
		}
		who := "trigger " + a.Metadata.Name + "/" + t.Name
		if t.MQTT.QoS != nil && *t.MQTT.QoS == 2 {
			out = append(out, who+" asks for QoS 2: it is subscribed with QoS 1, so an event can come twice")
		}
		if topic := t.startsItself(); topic != "" {
			out = append(out, fmt.Sprintf("%s publishes to %s, which it listens to: unless its when says otherwise it starts itself for ever", who, topic))
		}
	}
	return slices.Clip(out)
}

// startsItself gives the topic by which a trigger may be its own next event, ""
// if there is none. A topic that names a broker is taken for another's.
func (t *AppTrigger) startsItself() string {
	_, text, err := splitShare(t.MQTT.Topic)
	if err != nil {
		return ""
	}
	listens := captureForm.ReplaceAllString(text, "+")
	for _, then := range t.Then {
		broker, topic, err := agent.SplitBroker(then.Publish)
		if then.Publish == "" || err != nil || broker != t.MQTT.Broker && broker != "" {
			continue
		}
		if overlap(listens, captureForm.ReplaceAllString(topic, "+")) {
			return then.Publish
		}
	}
	return ""
}

// needs is what a device must have for the App: "target alerts, secret
// pager-token, broker plant, source scanner, http_in"; "" if it names nothing of
// a device's.
func (a *App) needs() string {
	kinds := []string{"target", "secret", "broker", "source", "http_in"}
	named := map[string]map[string]bool{}
	for _, kind := range kinds {
		named[kind] = map[string]bool{}
	}
	invoke := func(name string) {
		if target, central := strings.CutPrefix(name, "central/"); central {
			named["target"][" "+target] = true
		}
	}
	for _, fn := range a.Functions {
		for _, name := range fn.Permissions.Invoke {
			invoke(name)
		}
		for _, name := range fn.Secrets {
			named["secret"][" "+name] = true
		}
	}
	for _, t := range a.Triggers {
		for _, then := range t.Then {
			invoke(then.Invoke)
		}
		switch {
		case t.MQTT != nil && t.MQTT.Broker != "":
			named["broker"][" "+t.MQTT.Broker] = true
		case t.Source != nil:
			named["source"][" "+t.Source.Name] = true
		case t.HTTP != nil:
			named["http_in"][""] = true
		}
	}
	for _, brokers := range a.brokersOf() {
		for _, broker := range brokers {
			named["broker"][" "+broker] = true
		}
	}
	var out []string
	for _, kind := range kinds {
		for _, name := range slices.Sorted(maps.Keys(named[kind])) {
			out = append(out, kind+name)
		}
	}
	return strings.Join(out, ", ")
}
