package fleetsync

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func (b *binding) trigger(app string, t *AppTrigger) {
	full := app + "/" + t.Name
	out := agent.Trigger{
		Name: full, Function: app + "/" + t.Function,
		When: t.When, Key: t.Key, Unordered: t.Order == orderNone, Gate: t.gate(), Gather: t.gather(),
	}
	if t.Function == "" {
		out.Function = full
		b.out.Functions = append(b.out.Functions, agent.Function{
			Name: full, Rule: true, Priority: usualPriority, Limits: (&AppLimits{}).bind(b.device),
		})
	}
	if d := t.Dedupe; d != nil {
		out.Dedupe = agent.Dedupe{By: slices.Clone(d.By), Key: d.Key, Window: cmp.Or(time.Duration(d.Window), 10*time.Minute)}
	}
	out.Durability, out.Within, _ = durability(t.Durability) // it was checked
	b.listens(&out, t)
	if t.Retry != nil {
		out.Retry = agent.Retry{MaxAttempts: or(t.Retry.MaxAttempts, 0), Backoff: time.Duration(t.Retry.Backoff), DeadLetter: t.Retry.DeadLetter}
	}
	for i := range t.Then {
		b.needs("trigger "+full, []string{t.Then[i].Invoke})
		out.Then = append(out.Then, b.then(&out, &t.Then[i]))
	}
	b.out.Triggers = append(b.out.Triggers, out)
}

// listens binds what the trigger starts with.
func (b *binding) listens(out *agent.Trigger, t *AppTrigger) {
	var filter string
	switch {
	case t.MQTT != nil:
		filter = b.mqtt(out, t.MQTT)
	case t.HTTP != nil:
		if out.Via, filter = agent.ViaHTTP, t.HTTP.Path; !b.device.HTTP {
			b.fail("trigger %s takes what is posted to /in/%s, and this device takes no requests: say where under http_in: in skerry.yaml", out.Name, filter)
		}
	case t.Source != nil:
		out.Via, filter = t.Source.Name, cmp.Or(t.Source.Topic, "#")
		b.source(out)
	case t.Inside != nil:
		out.Via, filter = agent.ViaInside, t.Inside.Topic
	default:
		out.Via, filter, out.Schedule = agent.ViaSchedule, out.Name, t.Schedule.rule()
	}
	var err error
	if out.Filter, out.Captures, err = agent.ParseFilter(filter); err != nil {
		b.fail("trigger %s: %w", out.Name, err)
	}
}

func (b *binding) mqtt(out *agent.Trigger, m *MQTTTrigger) (filter string) {
	have := b.device.Brokers
	switch {
	case len(have) == 0:
		b.fail("trigger %s listens to MQTT, and this device has no broker: add one under brokers: in skerry.yaml", out.Name)
	case m.Broker == "":
		out.Via = have[0]
	case slices.Contains(have, m.Broker):
		out.Via = m.Broker
	default:
		b.fail("trigger %s names the broker %q, which this device does not have; it has %s: name one of them, or add it under brokers: in skerry.yaml",
			out.Name, m.Broker, strings.Join(have, ", "))
	}
	out.QoS = uint8(min(or(m.QoS, 1), 1))
	out.IgnoreRetained = m.Retained == "ignore"
	out.Share, filter, _ = splitShare(m.Topic) // it was checked
	return filter
}

func (b *binding) source(out *agent.Trigger) {
	switch {
	case slices.Contains(b.device.Sources, out.Via):
	case slices.Contains(b.device.Brokers, out.Via):
		b.fail("trigger %s names the source %q, which is a broker of this device: write mqtt: {broker: %s, topic: …} in the app", out.Name, out.Via, out.Via)
	default:
		b.fail("trigger %s names the source %q, which this device does not have: add it under sources: in skerry.yaml", out.Name, out.Via)
	}
}

func (b *binding) then(of *agent.Trigger, t *AppThen) agent.Then {
	on := map[string]agent.On{"error": agent.OnError, "always": agent.OnAlways}[t.When]
	out := agent.Then{Publish: t.Publish, Invoke: t.Invoke, Retain: t.Retain, On: on, Way: b.way(of.Function, t)}
	if t.Publish != "" {
		out.QoS = uint8(or(t.QoS, 1))
	}
	if t.Data != nil {
		text, err := json.Marshal(t.Data)
		if err != nil { // it was read from JSON or YAML
			b.fail("trigger %s: %w", of.Name, err)
		}
		out.Data = string(text)
	}
	return out
}

func (t *AppTrigger) gate() agent.Gate {
	g := agent.Gate{OnChange: slices.Clone(t.OnChange)}
	if d := t.Deadband; d != nil {
		g.Deadband = agent.Deadband{Of: d.Of, By: d.By, Percent: d.Percent}
	}
	if r := t.RateLimit; r != nil {
		g.Rate = agent.Rate{Count: r.Count, Per: time.Duration(r.Per)}
	}
	return g
}

func (t *AppTrigger) gather() agent.Gather {
	switch {
	case t.Debounce != nil:
		return agent.Gather{Kind: agent.GatherDebounce, Size: time.Duration(t.Debounce.Quiet), Most: time.Duration(t.Debounce.AtMost)}
	case t.Batch != nil:
		return agent.Gather{Kind: agent.GatherBatch, Count: t.Batch.Count, Bytes: int64(t.Batch.Bytes), Size: time.Duration(t.Batch.Time)}
	case t.Window == nil:
		return agent.Gather{}
	}
	w := t.Window
	g := agent.Gather{
		Kind: agent.GatherTumbling, Size: time.Duration(w.Tumbling),
		Time: w.Time, Lateness: time.Duration(w.Lateness), LateRuns: w.Late == "run",
	}
	switch {
	case w.Sliding != 0:
		g.Kind, g.Size, g.Every = agent.GatherSliding, time.Duration(w.Sliding), time.Duration(w.Every)
	case w.Session != 0:
		g.Kind, g.Size, g.Most = agent.GatherSession, time.Duration(w.Session), time.Duration(w.AtMost)
	}
	return g
}
