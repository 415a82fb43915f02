package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/recording"
)

// onTheWay is how many publishes a broker may have without its answer.
const onTheWay = 64

// playTo publishes the recording to the broker o.to.
func (o *playOptions) playTo(ctx context.Context, said io.Writer) (err error) {
	r, file, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client, err := connectTo(o.to, func(err error) { cancel(fmt.Errorf("the connection to the broker ended: %w", err)) })
	if err != nil {
		return err
	}
	defer client.Disconnect(100)
	out := publisher{client: client, retain: o.retain, pace: newPacer(o.factor, said)}
	p, err := o.each(r, func(e *recording.Entry) error { return out.publish(ctx, e) })
	out.pace.end()
	if err = errors.Join(err, out.settle(0)); err != nil {
		return err
	}
	p.events -= out.left
	p.left = out.left
	p.tell(said, time.Since(out.pace.begun), "to the broker")
	return nil
}

// publisher publishes events in their order.
type publisher struct {
	client paho.Client
	retain bool // what came as retained
	pace   *pacer
	tokens []paho.Token // of what the broker has not answered yet
	left   int64        // out: they came through no broker
}

func (p *publisher) publish(ctx context.Context, e *recording.Entry) error {
	ev := e.Event
	if ev.Type != recording.TypeMQTT || strings.HasPrefix(ev.Subject, "$") {
		p.left++
		return nil
	}
	if wait := p.pace.wait(e.At); wait > 0 && !pause(ctx, wait) || ctx.Err() != nil {
		return fmt.Errorf("stopped before the end: %w", context.Cause(ctx))
	}
	p.tokens = append(p.tokens, p.client.Publish(ev.Subject, 1, p.retain && ev.Retained, ev.Data))
	return p.settle(onTheWay)
}

// settle waits until the broker has not answered to at most so many.
func (p *publisher) settle(most int) error {
	for len(p.tokens) > most {
		if err := answered(p.tokens[0]); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		p.tokens = p.tokens[1:]
	}
	return nil
}
