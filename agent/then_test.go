package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

func TestParseFilter(t *testing.T) {
	for _, tt := range []struct {
		text, filter string
		captures     string
		err          string
	}{
		{"sensors/{line}/{id}/temp", "sensors/+/+/temp", "[{line 1} {id 2}]", ""},
		{"{a}/+/#", "+/+/#", "[{a 0}]", ""},
		{"plain/topic", "plain/topic", "[]", ""},
		{"a/{x}/{x}", "", "", "captured twice"},
		{"a/b{x}", "", "", "a whole level"},
		{"a/{1x}", "", "", "a whole level"},
		{"a/{}", "", "", "a whole level"},
		{"a/x}", "", "", "a whole level"},
		{"a/#/{x}", "", "", "# must be the last"},
		{"", "", "", "empty"},
	} {
		filter, captures, err := agent.ParseFilter(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("ParseFilter(%q): %v, want %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || filter != tt.filter || fmt.Sprint(captures) != tt.captures {
			t.Errorf("ParseFilter(%q) = %q, %v, %v", tt.text, filter, captures, err)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add("sensors/{line}/{id}/temp", "sensors/4/b{7}/temp")
	f.Add("{a}/#", "x")
	f.Fuzz(func(t *testing.T, text, topic string) {
		filter, captures, err := agent.ParseFilter(text)
		if err != nil || agent.CheckFilter(filter) != nil {
			return
		}
		tr := &agent.Trigger{Filter: filter, Captures: captures}
		for _, c := range captures {
			value, ok := agent.Captured(tr, topic, c.Name)
			if !ok && agent.MatchTopic(filter, topic) {
				t.Errorf("%q matches %q and captures no %q", text, topic, c.Name)
			}
			if strings.Contains(value, "/") {
				t.Errorf("%q captures %q from %q", text, value, topic)
			}
		}
	})
}

// captured is a trigger on lines and machines.
func captured(t *testing.T, function string) agent.Trigger {
	tr := on(function, "")
	var err error
	if tr.Filter, tr.Captures, err = agent.ParseFilter("plant/{line}/{id}"); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestCapturesInTopics(t *testing.T) {
	f := fn("app/f")
	f.Permissions.Publish = []string{"direct/4/+"}
	b := start(t, newMemory(), guests{"app/f": func(_ context.Context, inv *agent.Invocation) error {
		if string(inv.Event.Data) == "bad" {
			return agent.ErrReject
		}
		if err := inv.Publish("direct/{line}/{id}", []byte("x"), 0, false); err != nil {
			return err
		}
		if err := inv.Publish("direct/{lane}/1", nil, 0, false); !errors.Is(err, agent.ErrInvalid) {
			return fmt.Errorf("unknown capture: %w", err)
		}
		if err := inv.Publish("direct/{id}/1", nil, 0, false); !errors.Is(err, agent.ErrDenied) {
			return fmt.Errorf("what was captured is not granted: %w", err)
		}
		return inv.SetResult([]byte("21"))
	}}, agent.Options{Language: words{"message": func(t agent.Terms) (any, error) {
		line, _ := agent.Captured(t.Trigger, t.Event.Subject, "line")
		return map[string]any{"line": line, "result": json.RawMessage(t.Result)}, nil
	}}})
	tr := captured(t, "app/f")
	tr.Retry.DeadLetter = "dead/{line}"
	tr.Then = []agent.Then{{Publish: "out/{id}/{line}", QoS: 2, Retain: true, Data: "message"}}
	b.apply([]agent.Function{f}, tr)
	b.wait(b.offer("plant/4/m7", "x", agent.Origin{}))
	b.wait(b.offer("plant/5/m7", "bad", agent.Origin{}))
	var got []string
	for _, r := range b.store.queue("broker/plant") {
		got = append(got, fmt.Sprintf("%s %d %v", r.Event.Subject, r.Event.QoS, r.Retain))
		if r.Event.Subject == "out/m7/4" && string(r.Event.Data) != `{"line":"4","result":21}` {
			t.Errorf("template: %s", r.Event.Data)
		}
	}
	if want := "direct/4/m7 0 false, out/m7/4 2 true, dead/5 1 false"; strings.Join(got, ", ") != want {
		t.Errorf("published %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestTopicsThatCapturesSpoilAreDeadLettered(t *testing.T) {
	b := start(t, newMemory(), guests{}, agent.Options{})
	tr := captured(t, "app/rule")
	tr.Via, tr.Then = agent.ViaHTTP, []agent.Then{{Publish: "{id}/x", QoS: 1}}
	rule := fn("app/rule")
	rule.Rule = true
	b.apply([]agent.Function{rule}, tr)
	for _, topic := range []string{"plant/1/a#", "plant/1/$broker"} {
		done := make(chan error, 1)
		b.Offer(&agent.Event{Via: agent.ViaHTTP, Subject: topic, QoS: 1}, func(err error) { done <- err })
		b.wait(done)
	}
	if n, published := len(b.store.queue(agent.QueueDead)), b.store.queue("broker/plant"); n != 2 || len(published) != 0 {
		t.Errorf("%d dead letters, published %+v", n, published)
	}
}

func TestUnknownCapturesAreRefused(t *testing.T) {
	b := start(t, newMemory(), guests{"app/f": count}, agent.Options{})
	for _, change := range []func(*agent.Trigger){
		func(tr *agent.Trigger) { tr.Then = []agent.Then{{Publish: "a/{x}"}} },
		func(tr *agent.Trigger) { tr.Retry.DeadLetter = "a/{x}" },
	} {
		tr := captured(t, "app/f")
		change(&tr)
		f := fn("app/f")
		f.Limits = agent.DefaultLimits
		err := b.Apply(context.Background(), agent.Deployment{Functions: []agent.Function{f}, Triggers: []agent.Trigger{tr}})
		if err == nil || !strings.Contains(err.Error(), "{x} is not captured") {
			t.Errorf("Apply: %v", err)
		}
	}
}

func TestARuleNeedsNoModule(t *testing.T) {
	b := start(t, newMemory(), guests{}, agent.Options{Language: words{"broken": func(agent.Terms) (any, error) {
		return nil, errors.New("data.t is no number")
	}}})
	rule := fn("app/rule")
	rule.Rule = true
	tr := on("app/rule", "s")
	tr.Then = []agent.Then{{Publish: "copy", QoS: 1}, {Invoke: "central/faas"}}
	broken := on("app/rule", "broken")
	broken.Then = []agent.Then{{Publish: "copy", Data: "broken"}}
	b.apply([]agent.Function{rule}, tr, broken)
	b.wait(b.offer("s", `{"t":1}`, agent.Origin{}))
	b.wait(b.offer("s", ``, agent.Origin{}))
	copies, follow := b.store.queue("broker/plant"), b.store.queue("target/faas/5")
	if len(copies) != 2 || string(copies[0].Event.Data) != `{"t":1}` || len(follow) != 2 {
		t.Errorf("copies %+v, follow-ups %+v", copies, follow)
	}
	b.wait(b.offer("broken", `{}`, agent.Origin{}))
	if dead := b.store.queue(agent.QueueDead); len(dead) != 1 || !strings.Contains(dead[0].Reason, "then.data: data.t is no number") {
		t.Errorf("dead letters = %+v", dead)
	}
}

func TestAnswers(t *testing.T) {
	b := start(t, newMemory(), guests{
		"app/f": func(_ context.Context, inv *agent.Invocation) error {
			switch string(inv.Event.Data) {
			case "reject":
				return fmt.Errorf("%w: no temperature", agent.ErrReject)
			case "fail":
				return errors.New("it fails")
			}
			return inv.SetResult(append([]byte("seen "), inv.Event.Data...))
		},
		"app/other": func(_ context.Context, inv *agent.Invocation) error { return inv.SetResult([]byte("seen too")) },
	}, agent.Options{Language: words{
		"state never": func(agent.Terms) (any, error) { return false, nil }, "never": func(agent.Terms) (any, error) { return false, nil },
	}})
	left := on("app/other", "$left")
	left.When = "never"
	tr, never := on("app/f", "#"), on("app/other", "gated")
	tr.Retry = agent.Retry{MaxAttempts: 3, Backoff: time.Millisecond}
	alone := on("app/other", "$alone")
	never.When, alone.When = "state never", "state never"
	b.apply([]agent.Function{fn("app/f"), fn("app/other")}, tr, never, alone, left, on("app/other", "two"))
	for _, tt := range []struct{ topic, data, want string }{
		{"s", "x", "seen x"},
		{"s", "reject", "rejected by function: no temperature"},
		{"s", "fail", "it fails"}, // after three runs, from the inbox
		{"gated", "y", "seen y"},
		{"$alone", "y", ""}, // nothing has anything to say
		{"$left", "y", ""},
		{"two", "x", "seen x or too"},
	} {
		told := make(chan string, 3)
		done := make(chan error, 1)
		b.Offer(&agent.Event{Via: "plant", Subject: tt.topic, Data: []byte(tt.data), QoS: 1, Answer: func(result []byte, err error) {
			if err != nil {
				told <- err.Error()
				return
			}
			told <- string(result)
		}}, func(err error) { done <- err })
		b.wait(done)
		select {
		case got := <-told:
			if got != tt.want && (tt.topic != "two" || got != "seen too" && got != "seen x") {
				t.Errorf("%s: answer %q, want %q", tt.topic, got, tt.want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s %s: no answer", tt.topic, tt.data)
		}
		if len(told) > 0 {
			t.Errorf("%s: a second answer: %s", tt.topic, <-told)
		}
	}
}
