package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/recording"
)

// replay plays the file of events to a version, from its start and by its clock, and
// returns when there is another version.
func (d *dev) replay(ctx context.Context, b *devBuild, _ <-chan *devBuild, _ <-chan string) error {
	d.announce(b, "runs")
	d.tests(ctx)
	entries, h, err := d.entries()
	if err != nil {
		return err
	}
	show := newDevShow(d, &b.deployment, h)
	st, err := openStage(h, b.modules, show, secretFlags(d.secrets).value)
	if err != nil {
		return err
	}
	play := theatre{stage: st, effects: show.effects, pace: &pacer{}, start: h.Start}
	err = st.run(ctx, b.deployment, func(ctx context.Context) error {
		for i := range entries {
			e := &entries[i]
			if err := play.until(ctx, e.At); err != nil {
				return err
			}
			if err := show.play(ctx, &play, e); err != nil {
				return err
			}
		}
		return play.rest(ctx)
	})
	if err == nil {
		d.say("%s played; waiting for the next save", agent.CountText(len(entries), "event"))
	}
	return err
}

// entries are the events of the file, a recording or a list as skerry invoke has it.
func (d *dev) entries() (entries []recording.Entry, h recording.Header, err error) {
	text, err := os.ReadFile(d.events)
	if err != nil {
		return nil, h, usageError{fmt.Errorf("--events: %w", err)}
	}
	r, err := readEvents(bytes.NewReader(text))
	if err != nil {
		return nil, h, usageError{fmt.Errorf("--events %s: %w", d.events, err)}
	}
	r.Header.Broker, r.Header.Device = recording.DefaultBroker, "local"
	var last time.Duration
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries, r.Header, nil
		}
		if err != nil {
			return nil, h, usageError{fmt.Errorf("--events %s: %w", d.events, err)}
		}
		if e.Event == nil || ownEvent(e.Event) {
			continue
		}
		if r.Header.Complete(&e, r.Number()); e.Event.Type == recording.TypeMQTT {
			e.Event.Via = recording.DefaultBroker // there is one here
		}
		last = max(e.At, last)
		e.At = last
		entries = append(entries, e)
	}
}

// typedEvent is what a broker's message (via is ""), or what somebody posts, is for functions.
func typedEvent(via, topic string, data []byte) *agent.Event {
	ev := &agent.Event{Via: via, Subject: topic, Data: data, QoS: 1}
	if len(data) > 0 && (data[0] == '{' || data[0] == '[') {
		ev.ContentType = "application/json"
	} else {
		ev.ContentType = "application/octet-stream"
	}
	h := recording.Header{Device: "local", Broker: recording.DefaultBroker}
	h.Complete(&recording.Entry{Event: ev}, 0)
	ev.ID, ev.Time = "", time.Now().Round(0)
	return ev
}
