package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// maxTries is how many events are tried at once, at most: each takes an instance of a
// function, or waits for one.
const maxTries = 2

// Try implements admin.Tries.
func (d *device) Try(ctx context.Context, ask admin.TryRequest) (any, error) {
	ev, err := triedEvent(d.cfg.Device.ID, &ask.Event)
	if err != nil {
		return nil, err
	}
	if n := d.tries.Add(1); n > maxTries {
		d.tries.Add(-1)
		return nil, fmt.Errorf("%d events are being tried already: try again when one of them is done", maxTries)
	}
	defer d.tries.Add(-1)
	ctx, cancel := context.WithTimeout(ctx, admin.TryFor)
	defer cancel()
	if ask.Commit {
		return d.tryForGood(ctx, ask.Function, ev)
	}
	return d.tryOnly(ctx, ask.Function, ev, ask.HTTP)
}

// triedEvent makes an event of what a person says of it.
func triedEvent(device string, e *admin.TryEvent) (*agent.Event, error) {
	if e.Data != nil && e.DataBase64 != nil {
		return nil, errors.New("an event has data or data_base64, not both: remove one")
	}
	if err := agent.CheckTopic(e.Subject); err != nil {
		return nil, fmt.Errorf("the event's subject: %w", err)
	}
	ev := &agent.Event{
		ID: e.ID, Source: "/" + device + "/" + agent.ViaInside + "/try", Type: e.Type, Subject: e.Subject, Time: time.Now(),
		ContentType: e.ContentType, Data: e.DataBase64, Via: e.Via, QoS: 1,
	}
	if e.Data != nil {
		ev.Data = dataOf(e.Data, e.ContentType)
	}
	if ev.ID == "" {
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails
		ev.ID = "try-" + hex.EncodeToString(random[:])
	}
	return ev, nil
}

// typeVia is the type of events that come over a source.
func typeVia(via string) string {
	switch via {
	case agent.ViaSchedule, agent.ViaHTTP, agent.ViaInside:
		return "io.skerry." + via
	}
	return "io.skerry.mqtt"
}

// tryOnly runs a function once, in an instance of its own, and keeps nothing.
func (d *device) tryOnly(ctx context.Context, function string, ev *agent.Event, http bool) (_ *invokeReport, err error) {
	fetch := agent.Fetcher(noRequests{})
	if http {
		fetch = d.fetcher
	}
	trial, err := d.agent.Try(function, ev, fetch)
	if err != nil {
		return nil, err
	}
	ev.Type = cmp.Or(ev.Type, typeVia(ev.Via))
	r := &invokeReport{Function: function, Topic: ev.Subject, Notes: trial.Notes}
	var m agent.Module
	if fn := trial.Function; !fn.Rule {
		fn.Name += " (try)" // the log, and the count of warm instances, tell it from what is deployed
		fn.Limits.Timeout = min(fn.Limits.Timeout, admin.TryFor)
		begin := time.Now()
		if m, err = d.runtime.Load(ctx, fn); err != nil {
			return nil, fmt.Errorf("%s does not start: %s", function, loadText(err, fn.Name))
		}
		defer closing(&err, m.Close)
		r.Usage.Load = time.Since(begin)
	}
	begin := time.Now()
	r.cause = trial.Invoke(ctx, m)
	r.times = append(r.times, time.Since(begin))
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%s did not end within %s, and its try was ended", function, admin.TryFor)
	}
	r.conclude(trial.Invocation)
	return r, nil
}

// noRequests refuses the requests of a function that is only tried.
type noRequests struct{}

func (noRequests) Fetch(_ context.Context, r *agent.HTTPRequest) (*agent.HTTPResponse, error) {
	at := "?"
	if u, err := url.Parse(r.URL); err == nil {
		at = u.Scheme + "://" + u.Host // what follows may be a key
	}
	return nil, fmt.Errorf("%s %.120q: no request is made while a function is only tried; allow it with --http (\"http\": true): %w", r.Method, at, agent.ErrDenied)
}

// tryForGood offers an event as a source does, and tells what came of it.
func (d *device) tryForGood(ctx context.Context, function string, ev *agent.Event) (*triedReport, error) {
	takers := d.agent.Takers(function, ev)
	if ev.Via == "" {
		ev.Via = cmp.Or(d.defaultBroker(), agent.ViaInside)
		takers = d.agent.Takers(function, ev)
	}
	ev.Type = cmp.Or(ev.Type, typeVia(ev.Via))
	w := newTryWatch(ev, d.clock.Left)
	named := function == ""
	for i := range takers {
		named = named || takers[i].Function == function
		w.expect(&takers[i])
	}
	switch {
	case len(takers) == 0:
		return nil, fmt.Errorf("no trigger takes an event of %q over %s, and nothing was done: compare its topic with the triggers' and their conditions", ev.Subject, ev.Via)
	case !named:
		return nil, fmt.Errorf("no trigger of %s takes an event of %q over %s, and nothing was done: it would start %s", function, ev.Subject, ev.Via, takers[0].Function)
	}
	defer d.agent.Watch(w)()
	kept := make(chan error, 1)
	d.agent.Offer(ev, func(err error) { kept <- err })
	for {
		select {
		case err := <-kept:
			if err != nil {
				return nil, fmt.Errorf("the event could not be kept: %w", err)
			}
			kept = nil // its outcomes may come yet
		case <-w.all:
			return w.report(), nil
		case <-ctx.Done():
			return w.report(), nil
		}
	}
}
