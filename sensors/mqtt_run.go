package sensors

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

const (
	connectWait  = 10 * time.Second // for dial, TLS and the broker's answer together
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = time.Minute
	quickRetry   = 20 * time.Millisecond // at most, after a connection that was steady
	steady       = 10 * time.Second      // a connection that lived so long ends the backoff
	logAgain     = time.Minute           // a failure that stays the same is logged this often
)

// Run implements agent.Source: it connects, and connects again whenever the
// connection is lost, until ctx ends.
func (m *MQTT) Run(ctx context.Context, offer agent.Offer) error {
	m.warnPlain()
	m.session.load()
	var logged time.Time
	backoff := firstBackoff
	for ctx.Err() == nil {
		started := time.Now()
		err := m.connection(ctx, offer)
		if ctx.Err() != nil {
			break
		}
		m.setLast(err)
		lived := time.Since(started) > steady
		if lived || time.Since(logged) > logAgain {
			m.log.Warn("no connection to the broker", "broker", m.to.String(), "error", err)
			logged = time.Now()
		}
		if lived { // look at once: a broker that is gone refuses, and the session is in doubt
			backoff = firstBackoff
			pause(ctx, rand.N(quickRetry))
			continue
		}
		pause(ctx, backoff/2+rand.N(backoff/2))
		backoff = min(2*backoff, lastBackoff)
	}
	m.setLast(errors.New("stopped"))
	return nil
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func (m *MQTT) warnPlain() {
	if m.to.url.Scheme == "tcp" && m.to.username != "" && !isLoopback(m.to.url.Hostname()) {
		m.log.Warn("the password goes over the network unencrypted; use mqtts:// if the broker can", "broker", m.to.String())
	}
}

// connection makes one connection and serves it until it is lost or ctx ends.
func (m *MQTT) connection(ctx context.Context, offer agent.Offer) error {
	l := newLink(m, offer)
	var helpers sync.WaitGroup
	helpers.Go(func() { l.ring.run(l.gone) })
	helpers.Go(l.publishLater)
	defer func() {
		l.closing.Store(true)
		m.link.Store(nil)
		l.client.Disconnect(250) // even if it is lost already: this is what ends paho's goroutines
		l.lose(ctx.Err())
		helpers.Wait()
	}()
	present, err := l.connect(ctx)
	if err != nil {
		return err
	}
	m.log.Info("connected to the broker", "broker", m.to.String(), "session_present", present)
	m.session.connected(present, l.sure)
	m.setLast(nil)
	m.link.Store(l)
	l.serve(ctx)
	return l.why()
}
