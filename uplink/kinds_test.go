package uplink_test

import (
	"slices"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/when"
	"github.com/skerry-edge/skerry/uplink"
)

// kindConfig is the least that a target of the kind needs, at base.
func kindConfig(kind, base string) uplink.TargetConfig {
	c := uplink.TargetConfig{Name: "central", Kind: kind, URL: base, Device: "gw7", Compile: func(text string) (agent.Template, error) {
		return when.Language{}.Template(text, nil)
	}}
	switch kind {
	case "cloudevents", "http":
		c.URL += "/in"
	case "azure":
		c.URL += "/api/alarm"
		c.Token = "canary-key"
	case "fission", "fn", "openfaas", "openlambda", "nuclio", "snafu":
		c.Function = "alarm"
	case "picasso":
		c.Function = "plant/alarm"
	case "hookio":
		c.Function, c.Token = "plant/alarm", "canary-key"
	case "ifttt":
		c.Event, c.Token = "alarm", "canary-key"
	case "openwhisk":
		c.Trigger, c.Token = "alarm", "uuid:canary-key"
	case "webtask":
		c.URL += "/alarm"
		c.Token = "canary-key"
	case "lambda", "lambda-url", "stepfunctions", "xray":
		c.Region, c.AccessKeyID, c.SecretAccessKey = "us-west-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
		c.URL, c.Endpoint = "", base
	}
	switch kind {
	case "lambda":
		c.Function = "plant"
	case "lambda-url":
		c.URL, c.Endpoint, c.Auth = base+"/in", "", "iam"
	case "stepfunctions":
		c.StateMachine = "arn:aws:states:us-west-1:123456789012:stateMachine:plant"
	}
	return c
}

// sampleOf is a record that the kind can send.
func sampleOf(kind string) agent.Record {
	rec := sample()
	if kind == "xray" {
		ev := rec.Event
		run := uplink.RunSpan(&ev, "plant/alarm", ev.Time, ev.Time.Add(time.Second), "")
		rec.Event.Data = run.Segment()
	}
	return rec
}

// httpKinds are those that send requests.
func httpKinds() []string {
	return slices.DeleteFunc(uplink.Kinds(), func(kind string) bool { return kind == "mqtt" })
}

// openKind opens a target of any kind that talks to base.
func openKind(t testing.TB, kind, base string, timeout time.Duration) uplink.Target {
	t.Helper()
	c := kindConfig(kind, base)
	c.Timeout = timeout
	return open(t, c)
}

func open(t testing.TB, c uplink.TargetConfig) uplink.Target {
	t.Helper()
	target, err := uplink.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return target
}
