package uplink_test

import (
	"errors"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/uplink"
)

// sample is a record with something to encode in it.
func sample() agent.Record {
	return agent.Record{
		Seq: 1, Queue: "target/central", Kind: agent.KindFollowup, Key: "plant/7",
		Event: agent.Event{
			ID:          "gw7/42/0",
			Source:      "/gw7/plant/alarm",
			Type:        "io.skerry.followup",
			Subject:     "plant/Öl \"7\"",
			Time:        time.Date(2026, 11, 21, 2, 5, 38, 250e6, time.UTC),
			ContentType: "application/json",
			Data:        []byte(`{"t":21}`),
		},
	}
}

// openKind opens a target of any kind that talks to base.
func openKind(t testing.TB, kind, base string, timeout time.Duration) uplink.Target {
	t.Helper()
	cfg := uplink.TargetConfig{Name: "central", Kind: kind, Timeout: timeout}
	if kind == "lambda" {
		cfg.Endpoint, cfg.Region, cfg.Function = base, "us-west-1", "plant"
		cfg.AccessKeyID, cfg.SecretAccessKey = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	} else {
		cfg.URL = base + "/in"
	}
	target, err := uplink.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func asError(err error) *uplink.Error {
	var e *uplink.Error
	errors.As(err, &e)
	return e
}

func statusOf(err error) int {
	if e := asError(err); e != nil {
		return e.Status
	}
	return 0
}
