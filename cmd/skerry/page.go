package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/agent/page"
	"github.com/skerry-edge/skerry/sensors"
)

// front is where the page is: its listener, and the guard at it.
type front struct {
	listener net.Listener
	encrypt  *tls.Config // nil: no encryption
	guard    *page.Guard
	url      string
}

// openPage listens for the page, and gives nil if there is to be none: it is off, or
// nobody said where it is to be and another program is there.
func (d *device) openPage() (*front, error) {
	cfg := &d.cfg.Page
	if cfg.address() == "" {
		return nil, nil
	}
	f := &front{}
	var err error
	if cfg.CertFile != "" {
		if f.encrypt, err = sensors.ServerTLS(cfg.CertFile, cfg.KeyFile); err != nil {
			return nil, fmt.Errorf("page: %w", err)
		}
	}
	f.listener, err = net.Listen("tcp", cfg.address())
	switch {
	case err != nil && cfg.Listen == "":
		d.log.Warn("the agent runs without its page: another program is where that would be; set page.listen to another address, or to off", "err", err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("page.listen: %w: stop the program that is there, set another address, or off", err)
	}
	f.url = cfg.url(f.listener.Addr())
	brief := newBriefly(d.status)
	f.guard = page.NewGuard(page.Options{
		Hosts: cfg.Hosts, Token: cfg.token, TLS: f.encrypt != nil, Write: cfg.Write, Log: d.log,
		Probes: map[string]http.Handler{
			"/healthz": admin.Healthz(func() string { return d.store.Status().Error }),
			"/readyz":  admin.Readyz(func() admin.Health { return d.checkup(brief.get()) }),
		},
		Metrics: &metricsPage{brief.get, d.checkup, d.cfg.Device.ID},
	}, page.Files(), d.api())
	return f, nil
}

// servePage answers browsers until ctx ends.
func (d *device) servePage(ctx context.Context, f *front) error {
	if f == nil {
		return nil
	}
	d.log.Info("the page is open", "url", f.url)
	return page.Serve(ctx, f.listener, f.encrypt, f.guard, d.log)
}

// url is what people open in a browser on this device or, if others reach it, there.
func (p *PageConfig) url(at net.Addr) string {
	scheme := "http"
	if p.CertFile != "" {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "" // it is of TCP
	}
	addr, err := netip.ParseAddr(host)
	if err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	if !p.private() && len(p.Hosts) > 0 {
		host = p.Hosts[0]
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/"
}

// pageLink is the page's address with a secret that lets its finder in.
func (d *device) pageLink() (string, error) {
	f := d.front.Load()
	if f == nil {
		return "", errors.New("this agent has no page: page.listen is off, or another program was there when it started (skerry logs says so)")
	}
	return f.url + "#token=" + f.guard.Ticket(), nil
}

// checkup is how the agent is, by its status.
func (d *device) checkup(s *agent.Status) admin.Health {
	now, right := wallClock()
	return admin.HealthOf(s, admin.Facts{Now: now, Right: right, Applied: d.applied.Load(), Room: d.room()})
}

// healthNow is how the agent is.
func (d *device) healthNow() admin.Health {
	s := d.status()
	return d.checkup(&s)
}

// briefly keeps a status for a second, so that strangers who ask all the time cost
// little.
type briefly struct {
	status func() agent.Status

	mu   sync.Mutex
	at   time.Time
	last agent.Status
}

func newBriefly(status func() agent.Status) *briefly { return &briefly{status: status} }

// get gives a status that nobody changes.
func (b *briefly) get() *agent.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.at) >= time.Second {
		b.last, b.at = b.status(), now
	}
	s := b.last
	return &s
}
