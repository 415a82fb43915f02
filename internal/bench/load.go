package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

// load is the plant of the bench: connections that publish readings of 50
// sensors in turn and one that receives the alarms. At most a window of events
// is under way, so nothing is dropped by a queue limit; an event is known to be
// done when the next alarm arrives.
type load struct {
	pubs    []*mqtt.Conn
	sub     *mqtt.Conn
	scene   scenario
	credits chan struct{}
	acks    chan struct{} // QoS 1: room in the broker's window
	alarms  atomic.Int64
	latency []time.Duration // of alarms, by the receiving goroutine only
	failed  chan error
	text    []byte
}

const (
	loadWindow = 2000 // events under way
	ackWindow  = 500  // QoS 1 publishes without PUBACK
	sensors    = 50
)

func newLoad(ctx context.Context, addr string, s scenario) (*load, error) {
	l := &load{
		scene: s, credits: make(chan struct{}, max(1, loadWindow/s.every)),
		acks: make(chan struct{}, ackWindow), failed: make(chan error, s.conns+1),
	}
	for i := range s.conns {
		c, err := l.connect(ctx, addr, "plant"+strconv.Itoa(i), nil)
		if err != nil {
			l.close()
			return nil, err
		}
		l.pubs = append(l.pubs, c)
	}
	var err error
	if l.sub, err = l.connect(ctx, addr, "alarms", l.onAlarm); err != nil {
		l.close()
		return nil, err
	}
	answer := make(chan error, 1)
	if err := l.sub.Subscribe(alarmTopic, s.qos, func(_ byte, err error) { answer <- err }); err != nil {
		l.close()
		return nil, err
	}
	return l, <-answer
}

func (l *load) connect(ctx context.Context, addr, id string, receive func(*mqtt.Message)) (*mqtt.Conn, error) {
	tcp, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c, _, err := mqtt.Open(ctx, tcp, mqtt.Options{
		ClientID: id, CleanSession: true, KeepAlive: time.Minute, MaxPacket: 1 << 20, Receive: receive,
	})
	if err != nil {
		return nil, err
	}
	go func() { l.failed <- c.Run() }()
	return c, nil
}

func (l *load) close() {
	for _, c := range append(l.pubs, l.sub) {
		if c != nil {
			c.Close()
		}
	}
}

func (l *load) onAlarm(m *mqtt.Message) {
	if m.QoS > 0 {
		l.sub.Ack(m.QoS, m.ID)
	}
	sent, err := sentAt(string(m.Payload))
	if err != nil {
		l.failed <- err
		return
	}
	l.latency = append(l.latency, time.Since(sent))
	l.alarms.Add(1)
	select {
	case <-l.credits:
	default: // delivered twice
	}
}

// sentAt reads the time a reading was made from the alarm it led to.
func sentAt(alarm string) (time.Time, error) {
	_, rest, ok := strings.Cut(alarm, `"ts":`)
	end := strings.IndexAny(rest, ",}")
	if !ok || end < 0 {
		return time.Time{}, fmt.Errorf("alarm without ts: %.200s", alarm)
	}
	us, err := strconv.ParseInt(rest[:end], 10, 64)
	return time.UnixMicro(us), err
}

// publish sends readings for a while. It returns how many it sent.
func (l *load) publish(ctx context.Context, length time.Duration) (int, error) {
	start := time.Now()
	for n := 0; ; n++ {
		if n%16 == 0 && (time.Since(start) > length || ctx.Err() != nil) {
			return n, nil
		}
		l.pace(start, n)
		hot := n%l.scene.every == 0
		if hot && l.scene.rate == 0 {
			if err := l.take(l.credits); err != nil {
				return n, err
			}
		}
		if l.scene.qos > 0 {
			if err := l.take(l.acks); err != nil {
				return n, err
			}
		}
		if err := l.send(n, hot); err != nil {
			return n, err
		}
	}
}

// pace waits until event n is due, when there is a rate.
func (l *load) pace(start time.Time, n int) {
	if l.scene.rate == 0 {
		return
	}
	due := start.Add(time.Duration(n) * time.Second / time.Duration(l.scene.rate))
	if wait := time.Until(due); wait > 0 {
		t := syscall.NsecToTimespec(int64(wait)) // Go's timers are too coarse
		syscall.Nanosleep(&t, nil)
	}
}

// take gets a place in a window.
func (l *load) take(window chan struct{}) error {
	select {
	case window <- struct{}{}:
		return nil
	default:
	}
	select {
	case window <- struct{}{}:
		return nil
	case err := <-l.failed:
		return fmt.Errorf("connection to the broker: %w", err)
	case <-time.After(10 * time.Second):
		return errors.New("nothing came back for 10 s")
	}
}

func (l *load) send(n int, hot bool) error {
	temperature := "20.25"
	if hot {
		temperature = "95.25"
	}
	l.text = append(l.text[:0], `{"id":"s`...)
	l.text = appendSensor(l.text, n%sensors)
	l.text = append(l.text, `","seq":`...)
	l.text = strconv.AppendInt(l.text, int64(n), 10)
	l.text = append(l.text, `,"ts":`...)
	l.text = strconv.AppendInt(l.text, time.Now().UnixMicro(), 10)
	l.text = append(l.text, `,"temperature":`+temperature+`,"humidity":45.2,"unit":"C","site":"hall-3","fw":"1.4.2"}`...)
	var done func(error)
	if l.scene.qos > 0 {
		done = l.acked
	}
	return l.pubs[n%len(l.pubs)].Publish(topics[n%sensors], l.text, l.scene.qos, false, done)
}

func (l *load) acked(error) { <-l.acks }

var topics = func() (all [sensors]string) {
	for i := range all {
		all[i] = "sensors/s" + string(appendSensor(nil, i)) + "/temperature"
	}
	return all
}()

func appendSensor(b []byte, n int) []byte {
	return append(b, '0', byte('0'+n/10), byte('0'+n%10))
}

// drain waits until every hot reading of n has led to an alarm.
func (l *load) drain(ctx context.Context, n int) error {
	hot := int64((n + l.scene.every - 1) / l.scene.every)
	for deadline := time.Now().Add(20 * time.Second); l.alarms.Load() < hot; time.Sleep(time.Millisecond) {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("%d of %d alarms arrived", l.alarms.Load(), hot)
		}
	}
	return nil
}

// percentile of the alarms' latency.
func (l *load) percentile(p float64) time.Duration {
	if len(l.latency) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(l.latency))
	return sorted[min(len(sorted)-1, int(p/100*float64(len(sorted))))]
}
