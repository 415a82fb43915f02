package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/internal/recording"
	"github.com/skerry-edge/skerry/sensors/mqtt"
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
	conn, err := connectTo(ctx, o.to, eventsClient(), func(*mqtt.Message) {})
	if err != nil {
		return err
	}
	conn.start(func(err error) { cancel(connectionEnded(err)) })
	defer conn.close()
	out := publisher{conn: conn, retain: o.retain, pace: newPacer(o.factor, said)}
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
	conn    *brokerConn
	retain  bool // what came as retained
	pace    *pacer
	answers []<-chan error // of the broker, to what it has not answered yet
	left    int64          // out: they came through no broker
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
	p.answers = append(p.answers, p.conn.publish(ev.Subject, ev.Data, p.retain && ev.Retained))
	return p.settle(onTheWay)
}

// settle waits until the broker has not answered to at most so many.
func (p *publisher) settle(most int) error {
	for len(p.answers) > most {
		if err := answered(p.answers[0]); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		p.answers = p.answers[1:]
	}
	return nil
}
