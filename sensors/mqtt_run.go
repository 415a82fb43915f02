package sensors

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	connectWait = 10 * time.Second // for dial, TLS and the broker's answer together
	logAgain    = time.Minute      // a failure that stays the same is logged this often
)

// Run implements agent.Source: it connects, and connects again whenever the
// connection is lost, until ctx ends.
func (m *MQTT) Run(ctx context.Context, offer agent.Offer) error {
	m.warnPlain()
	m.session.load()
	var logged time.Time
	down := false
	for ctx.Err() == nil {
		up, err := m.connection(ctx, offer)
		if ctx.Err() != nil {
			break
		}
		if up > 0 || !down {
			m.linked(err)
		}
		down = true
		wait, lasted := m.lost(up, err)
		if lasted || time.Since(logged) > logAgain {
			m.log.Warn("no connection to the broker", "broker", m.to.String(), "error", err)
			logged = time.Now()
		}
		m.pause(ctx, wait)
	}
	m.setLast(errors.New("stopped"))
	return nil
}

// Hurry has the next connection tried at once, if there is none.
func (m *MQTT) Hurry() {
	if m.link.Load() != nil {
		return
	}
	select {
	case m.hurry <- struct{}{}:
	default: // it will be
	}
}

// pause waits for d, until ctx ends, or until somebody hurries.
func (m *MQTT) pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	select {
	case <-m.hurry:
	case <-ctx.Done():
	}
}

// linked tells whoever wants to know that the connection is there, or why not.
func (m *MQTT) linked(why error) {
	if m.opts.Linked != nil {
		m.opts.Linked(why)
	}
}

func (m *MQTT) warnPlain() {
	if m.to.url.Scheme == "tcp" && m.to.username != "" && !isLoopback(m.to.url.Hostname()) {
		m.log.Warn("the password goes over the network unencrypted; use mqtts:// if the broker can", "broker", m.to.String())
	}
}

// connection makes one connection and serves it until it is lost or ctx ends.
// up is how long there was one, 0 if it was never made.
func (m *MQTT) connection(ctx context.Context, offer agent.Offer) (up time.Duration, err error) {
	l := newLink(m, offer)
	var helpers sync.WaitGroup
	helpers.Go(func() { l.ring.run(l.gone) })
	helpers.Go(l.publishLater)
	defer func() {
		l.closing.Store(true)
		m.link.Store(nil)
		if l.conn != nil {
			l.conn.Close()
		}
		l.lose(ctx.Err())
		helpers.Wait()
	}()
	present, err := l.connect(ctx)
	if err != nil {
		return 0, err
	}
	l.since = time.Now()
	helpers.Go(func() { l.lose(l.conn.Run()) })
	m.log.Info("connected to the broker", "broker", m.to.String(), "session_present", present)
	m.session.connected(present, l.sure)
	m.link.Store(l)
	m.setLast(nil)
	m.linked(nil)
	l.serve(ctx)
	return time.Since(l.since), l.why()
}
