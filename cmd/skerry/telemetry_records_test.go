package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/logbook"
	"github.com/skerry-edge/skerry/uplink"
)

// frames is a store that keeps what was committed.
type frames []agent.Frame

func (f *frames) Commit(_ context.Context, frame *agent.Frame) error {
	*f = append(*f, *frame)
	return nil
}

// TestTelemetryRecords looks at what waits in the store: below follow-ups, for a
// time, in no hurry; and for ever while the clock may be wrong.
func TestTelemetryRecords(t *testing.T) {
	now, right := time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), true
	cfg := Config{Device: DeviceConfig{ID: "gw7"}, Telemetry: TelemetryConfig{
		Target: "otel", TTL: time.Hour, Over: overDrop, Traces: TracesConfig{"rays", 1},
	}}
	var kept frames
	tel := newTelemetry(&cfg, &kept, now, slog.New(slog.DiscardHandler))
	tel.clock = func() (time.Time, bool) { return now, right }
	if err := tel.sendLogs(t.Context(), []logbook.Line{{Time: now, Text: "hello"}}); err != nil {
		t.Fatal(err)
	}
	run := uplink.RunSpan(&agent.Event{ID: "e", Time: now}, "a/f", now, now.Add(time.Second), "")
	right = false
	if err := tel.sendTraces(t.Context(), []uplink.Span{run, run}); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for i, want := range []agent.Record{
		{Queue: "target/otel/1", Priority: 1, Expires: now.Add(time.Hour), Event: agent.Event{Type: uplink.TypeLogs}},
		{Queue: "target/rays/1", Priority: 1, Event: agent.Event{Type: typeSegment, Unsure: true}},
		{Queue: "target/rays/1", Priority: 1, Event: agent.Event{Type: typeSegment, Unsure: true}},
	} {
		f := kept[min(i, 1)]
		got := f.Add[max(0, i-1)]
		if ids[got.Event.ID] = true; len(ids) != i+1 {
			t.Errorf("record %d: id %s again", i, got.Event.ID)
		}
		if !f.Lazy || got.Queue != want.Queue || got.Kind != agent.KindTelemetry || got.Priority != want.Priority || !got.Shed ||
			!got.Expires.Equal(want.Expires) || got.Event.Type != want.Event.Type || got.Event.Unsure != want.Event.Unsure || got.Event.Source != "/gw7" {
			t.Errorf("record %d is %+v", i, got)
		}
	}
	if !json.Valid(kept[1].Add[0].Event.Data) {
		t.Errorf("the segment is %s", kept[1].Add[0].Event.Data)
	}
	if tel.watcher() == nil {
		t.Error("nobody watches")
	}
	cfg.Telemetry.Traces.Target = ""
	if newTelemetry(&cfg, &kept, now, slog.New(slog.DiscardHandler)).watcher() != nil {
		t.Error("somebody watches though nothing is traced")
	}
}
