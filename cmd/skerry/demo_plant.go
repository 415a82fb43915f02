package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// plant is 50 sensors on five lines. Now and then one overheats for a while.
type plant struct {
	broker  string
	rate    int // readings per second, all together
	sensors []*sensor
	faults  atomic.Int64
	sent    atomic.Int64
}

type sensor struct {
	topic, id string
	seq       int
	base      float64
	hotUntil  atomic.Int64 // Unix milliseconds
}

const (
	plantSensors = 50
	plantLines   = 5
	faultEvery   = 250 * time.Millisecond
	faultLasts   = 2 * time.Second
)

func newPlant(broker string, rate int) *plant {
	p := &plant{broker: broker, rate: rate}
	for i := range plantSensors {
		id := fmt.Sprintf("s%03d", i)
		p.sensors = append(p.sensors, &sensor{
			id: id, topic: fmt.Sprintf("sensors/line-%d/%s/temperature", i%plantLines+1, id),
			base: 45 + 20*rand.Float64(),
		})
	}
	return p
}

// run publishes readings until ctx ends; each line has a connection of its
// own. What is under way then is still finished, within world.
func (p *plant) run(ctx, world context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for line := range plantLines {
		g.Go(func() error { return p.line(ctx, world, line) })
	}
	g.Go(func() error {
		for pause(ctx, faultEvery) {
			s := p.sensors[rand.IntN(len(p.sensors))]
			s.hotUntil.Store(time.Now().Add(faultLasts).UnixMilli())
			p.faults.Add(1)
		}
		return nil
	})
	return g.Wait()
}

// line publishes the readings of one line, evenly spread, at QoS 1.
func (p *plant) line(ctx, world context.Context, line int) error {
	conn, err := connectTo(world, "tcp://"+p.broker, fmt.Sprintf("plant-line-%d", line+1), func(*mqtt.Message) {})
	switch {
	case err != nil && world.Err() != nil:
		return nil // it is over
	case err != nil:
		return fmt.Errorf("connect the plant: %w", err)
	}
	conn.start(func(error) {}) // whoever publishes is told
	defer conn.close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	start := time.Now()
	var answers []<-chan error
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return settled(world, answers)
		case <-tick.C:
		}
		due := int(time.Since(start).Seconds() * float64(p.rate) / plantLines)
		for ; n < due; n++ {
			s := p.sensors[n%(plantSensors/plantLines)*plantLines+line]
			answers = append(answers, conn.publish(s.topic, []byte(s.reading(time.Now())), false))
			p.sent.Add(1)
		}
		if err := settled(world, answers); err != nil {
			return fmt.Errorf("publish readings: %w", err)
		}
		answers = answers[:0]
	}
}

// settled waits until the broker has acknowledged everything.
func settled(ctx context.Context, answers []<-chan error) error {
	for _, answer := range answers {
		select {
		case err := <-answer:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("the broker did not answer for 10 s")
		}
	}
	return nil
}

// reading is about 120 bytes of JSON.
func (s *sensor) reading(now time.Time) string {
	s.seq++
	t := s.base + 3*math.Sin(float64(s.seq)/20) + rand.NormFloat64()
	if now.UnixMilli() < s.hotUntil.Load() {
		t += 45
	}
	return fmt.Sprintf(`{"id":%q,"seq":%d,"ts":%d,"temperature":%.2f,"humidity":%.1f,"unit":"C","site":"hall-3","fw":"1.4.2"}`,
		s.id, s.seq, now.UnixMicro(), t, 40+rand.Float64()*10)
}
