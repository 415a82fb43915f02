package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// fleetLink is how the device tells how it is, and hears that there is something new:
// a connection of its own, so that it works too while nothing runs here, and has a
// will of its own. Nothing waits for it, and it writes to no disk.
type fleetLink struct {
	name   string // of the fleet
	device string
	client *sensors.MQTT
	tell   func() fleetsync.Report
	log    *slog.Logger
	up     chan struct{} // capacity 1: the connection was made
	hints  hints
	news   news
}

const (
	fleetSource   = "fleet" // as the log and the status call the connection
	reportLook    = 3 * time.Second
	reportWithin  = 20 * time.Second // for the broker to acknowledge
	goodbyeWithin = time.Second
)

// wireFleet makes the link that the configuration asks for.
func (d *device) wireFleet() error {
	if d.cfg.Fleet.Broker+d.cfg.Fleet.URL == "" {
		return nil
	}
	labels := d.cfg.device().Labels
	tell := func() fleetsync.Report {
		r := d.report()
		r.Labels = labels
		return r
	}
	f := &fleetLink{
		name: d.cfg.Fleet.Name, device: d.cfg.Device.ID, tell: tell, log: d.log.With("source", fleetSource),
		up: make(chan struct{}, 1), news: news{daily: dailyReport - rand.N(time.Hour)},
	}
	f.hints.log = f.log
	if d.puller != nil {
		f.hints.wake = d.puller.Wake
	}
	opts := sensors.MQTTOptions{
		Name: fleetSource, Device: f.device, ClientID: sensors.ClientID(f.device, "fleet-"+f.name), Clean: true,
		KeepAlive: d.cfg.Fleet.Keepalive, Linked: f.linked, Log: d.log, MaxPacket: 1 << 10, Inflight: 16,
		Will: &sensors.Will{Topic: fleetsync.OnlineTopic(f.name, f.device), Payload: "0", QoS: 1, Retain: true},
	}
	if b := d.cfg.fleetBroker(); b != nil {
		opts.URL, opts.Username, opts.Password, opts.PasswordFile = b.URL, b.Username, b.Password, b.PasswordFile
		opts.CAFile, opts.CertFile, opts.KeyFile = b.CAFile, b.CertFile, b.KeyFile
	} else if opts = d.ownBroker().Within(opts); true {
		opts.KeepAlive = time.Hour // nothing gets lost on the way
	}
	var err error
	if f.client, err = sensors.NewMQTT(opts); err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	f.client.Follow([]agent.Trigger{{Name: "fleet/hint", Via: fleetSource, Filter: fleetsync.HintTopic(f.name), QoS: 1}})
	d.beside, d.fleet = append(d.beside, f), f
	return nil
}

// ownBroker is the embedded broker; the configuration says that there is one.
func (d *device) ownBroker() *sensors.Broker {
	for _, s := range d.sources {
		if b, ok := s.(*sensors.Broker); ok {
			return b
		}
	}
	return nil
}

// linked is told of each connection that is made and lost.
func (f *fleetLink) linked(why error) {
	if why == nil {
		select {
		case f.up <- struct{}{}:
		default:
		}
	}
}

// Run tells and hears until ctx ends; then it says goodbye, since a will is only for
// those who do not.
func (f *fleetLink) Run(ctx context.Context) error {
	under, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var connection sync.WaitGroup
	var err error
	connection.Go(func() { err = f.client.Run(under, f.hints.hear) })
	look := time.NewTicker(reportLook)
	defer look.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-f.up:
			f.news.due()
			f.say(ctx, fleetsync.OnlineTopic(f.name, f.device), []byte("1"), reportWithin)
		case <-look.C:
			f.report(ctx)
		}
	}
	f.say(under, fleetsync.OnlineTopic(f.name, f.device), []byte("0"), goodbyeWithin)
	stop()
	connection.Wait()
	return err
}

// report sends a report if one is due and there is a connection.
func (f *fleetLink) report(ctx context.Context) {
	if !f.client.Status().Connected {
		return
	}
	now, r := time.Now(), f.tell()
	if text := gist(r); f.news.ready(text, now) && f.say(ctx, fleetsync.ReportTopic(f.name, f.device), r.Encode(), reportWithin) {
		f.news.told(text, now)
	}
}

// say publishes a retained message, and tells whether the broker has it.
func (f *fleetLink) say(ctx context.Context, topic string, data []byte, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	rec := agent.Record{Event: agent.Event{Subject: topic, Data: data, QoS: 1}, Retain: true}
	err := f.client.Send(ctx, []agent.Record{rec})[0]
	if errors.Is(err, context.DeadlineExceeded) {
		f.client.Reconnect(errSilent)
	}
	return err == nil
}

// status is that of the connection.
func (f *fleetLink) status() agent.SourceStatus {
	s := f.client.Status()
	s.Kind = fleetSource
	return s
}
