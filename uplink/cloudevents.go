package uplink

import (
	"context"
	"errors"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// cloudEvents sends events in the binary mode of the CloudEvents HTTP binding.
type cloudEvents struct{ endpoint }

// NewCloudEvents returns a target for any CloudEvents receiver, such as a
// Knative broker. Any 2xx is DELIVERED. Receivers deduplicate by source and id.
func NewCloudEvents(opts HTTPOptions) (Target, error) {
	if opts.Method != "" {
		return nil, errors.New("method is always POST for CloudEvents; remove it")
	}
	ep, err := newEndpoint(opts, "content-type", "ce-")
	if err != nil {
		return nil, err
	}
	return &cloudEvents{endpoint: ep}, nil
}

func (t *cloudEvents) Send(ctx context.Context, rec agent.Record) error {
	ev := &rec.Event
	if ev.ID == "" || ev.Source == "" || ev.Type == "" {
		return &Error{Class: Permanent, Reason: "the event lacks an id, a source or a type, which CloudEvents need"}
	}
	h := t.header.Clone()
	if err := setContentType(h, ev); err != nil {
		return err
	}
	h.Set("ce-specversion", "1.0")
	h.Set("ce-id", encodeHeader(ev.ID))
	h.Set("ce-source", encodeHeader(ev.Source))
	h.Set("ce-type", encodeHeader(ev.Type))
	if ev.Subject != "" {
		h.Set("ce-subject", encodeHeader(ev.Subject))
	}
	if !ev.Time.IsZero() {
		h.Set("ce-time", ev.Time.UTC().Format(time.RFC3339Nano))
	}
	if ev.Unsure {
		h.Set("ce-clock", "untrusted")
	}
	return t.send(ctx, h, ev.Data)
}
