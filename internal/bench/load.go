package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// load is the plant of the bench: one connection that publishes readings of 50
// sensors and one that receives the alarms. At most a window of events is
// under way, so nothing is dropped by a queue limit; an event is known to be
// done when the next alarm arrives.
type load struct {
	pub, sub net.Conn
	qos      byte
	every    int // one event in so many is hot
	credits  chan struct{}
	acks     chan struct{} // QoS 1: room in the broker's window
	alarms   atomic.Int64
	latency  []time.Duration // of alarms, by the receiving goroutine only
	failed   chan error
}

const (
	loadWindow = 2000 // events under way
	ackWindow  = 500  // QoS 1 publishes without PUBACK
)

func newLoad(addr string, qos byte, every int) (*load, error) {
	l := &load{
		qos: qos, every: every, credits: make(chan struct{}, max(1, loadWindow/every)),
		acks: make(chan struct{}, ackWindow), failed: make(chan error, 2),
	}
	var err error
	if l.pub, err = connect(addr, "plant"); err != nil {
		return nil, err
	}
	if l.sub, err = connect(addr, "alarms"); err != nil {
		return nil, errors.Join(err, l.pub.Close())
	}
	sub := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	sub.MessageID, sub.Topics, sub.Qoss = 1, []string{alarmTopic}, []byte{qos}
	if err := sub.Write(l.sub); err != nil {
		return nil, errors.Join(err, l.close())
	}
	go l.receive(l.sub, l.onAlarm)
	go l.receive(l.pub, func(p packets.ControlPacket) error {
		if _, ok := p.(*packets.PubackPacket); ok {
			<-l.acks
		}
		return nil
	})
	return l, nil
}

func connect(addr, id string) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion, p.ClientIdentifier, p.CleanSession = "MQTT", 4, id, true
	if err := p.Write(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (l *load) close() error { return errors.Join(l.pub.Close(), l.sub.Close()) }

// receive reads packets until the connection ends.
func (l *load) receive(c net.Conn, handle func(packets.ControlPacket) error) {
	r := bufio.NewReaderSize(c, 64<<10)
	for {
		p, err := packets.ReadPacket(r)
		if err == nil {
			err = handle(p)
		}
		if err != nil {
			l.failed <- err
			return
		}
	}
}

func (l *load) onAlarm(p packets.ControlPacket) error {
	m, ok := p.(*packets.PublishPacket)
	if !ok {
		return nil
	}
	if m.Qos > 0 {
		ack := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		ack.MessageID = m.MessageID
		if err := ack.Write(l.sub); err != nil {
			return err
		}
	}
	sent, err := sentAt(string(m.Payload))
	if err != nil {
		return err
	}
	l.latency = append(l.latency, time.Since(sent))
	l.alarms.Add(1)
	select {
	case <-l.credits:
	default: // delivered twice
	}
	return nil
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

// publish sends readings for a while, or only hot ones until the first alarm
// if length is 0. It returns how many it sent.
func (l *load) publish(ctx context.Context, length time.Duration) (int, error) {
	w := bufio.NewWriterSize(l.pub, 16<<10)
	start := time.Now()
	for n := 0; ; n++ {
		if n%16 == 0 && (time.Since(start) > length || ctx.Err() != nil) {
			return n, w.Flush()
		}
		hot := n%l.every == 0
		if hot {
			if err := l.take(w, l.credits); err != nil {
				return n, err
			}
		}
		if l.qos > 0 {
			if err := l.take(w, l.acks); err != nil {
				return n, err
			}
		}
		if err := l.write(w, n, hot); err != nil {
			return n, err
		}
	}
}

// take gets a place in a window; what is buffered goes out before it waits.
func (l *load) take(w *bufio.Writer, window chan struct{}) error {
	select {
	case window <- struct{}{}:
		return nil
	default:
	}
	if err := w.Flush(); err != nil {
		return err
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

func (l *load) write(w *bufio.Writer, n int, hot bool) error {
	temperature := 20.25
	if hot {
		temperature = 95.25
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.Qos, p.MessageID = l.qos, uint16(n%60_000+1)
	p.TopicName = fmt.Sprintf("sensors/s%03d/temperature", n%50)
	p.Payload = fmt.Appendf(nil, `{"id":"s%03d","seq":%d,"ts":%d,"temperature":%.2f,"humidity":45.2,"unit":"C","site":"hall-3","fw":"1.4.2"}`,
		n%50, n, time.Now().UnixMicro(), temperature)
	return p.Write(w)
}

// drain waits until every hot reading of n has led to an alarm.
func (l *load) drain(ctx context.Context, n int) error {
	hot := int64((n + l.every - 1) / l.every)
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
