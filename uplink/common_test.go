package uplink_test

import (
	"errors"
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
