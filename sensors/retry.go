package sensors

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/skerry-edge/skerry/sensors/mqtt"
)

const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = time.Minute
	quickRetry   = 20 * time.Millisecond // at most, after a connection that lasted
	steady       = 10 * time.Second      // a connection that lived so long ends the backoff
	shortLife    = 5 * time.Second       // a connection lost sooner was ended for a reason
	shortLives   = 3                     // in a row: that reason stays
)

const rivalSign = "the broker ends the connection right after it is made, again and again"

// retry says how long to wait before the next connection. It also notices a
// rival: a client of the same id takes the connection over, loses it to us in
// turn, and neither is told why.
type retry struct {
	backoff time.Duration // the next pause, at most
	short   int           // connections in a row that the broker ended within shortLife
	rival   bool          // there were shortLives of them, and none lasted since
	refused bool          // the last try: the broker itself was away, which no rival brings about
}

func newRetry() retry { return retry{backoff: firstBackoff} }

// lasting is how long a connection must live to be one that stays. The rival
// pauses about as long as we do, so that its pause is no sign of peace.
func (r *retry) lasting() time.Duration {
	if r.rival {
		return max(steady, 2*r.backoff)
	}
	return steady
}

// lost takes the end of a connection that was up for so long, 0 if it was
// never made, and returns the pause before the next one.
func (r *retry) lost(up time.Duration, why error) (pause time.Duration, lasted bool) {
	if up > r.lasting() { // look at once: a broker that is gone refuses, and the session is in doubt
		*r = newRetry()
		return rand.N(quickRetry), true
	}
	if up > 0 && r.refused {
		*r = newRetry()
	}
	r.refused = errors.Is(why, syscall.ECONNREFUSED)
	r.count(up, why)
	pause = r.backoff/2 + rand.N(r.backoff/2)
	r.backoff = min(2*r.backoff, lastBackoff)
	return pause, false
}

func (r *retry) count(up time.Duration, why error) {
	switch {
	case up == 0: // says nothing of the others
	case up > shortLife, errors.Is(why, errFull), errors.Is(why, mqtt.ErrMalformed):
		r.short = 0
	default:
		r.short++
		r.rival = r.rival || r.short >= shortLives
	}
}

// lost keeps why there is no connection, and tells once of a rival.
func (m *MQTT) lost(up time.Duration, why error) (pause time.Duration, lasted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.retry.rival
	pause, lasted = m.retry.lost(up, why)
	last := why
	if m.retry.rival && up > 0 {
		last = nil // the note of the rival says more
	}
	m.tell(last)
	if m.retry.rival && !before {
		m.log.Warn(rivalSign+": another client may use the same client id; is device.id unique?",
			"client_id", m.opts.ClientID, "broker", m.to.String(), "error", why)
	}
	return pause, lasted
}

// rivalNote is what Status tells of a rival while there seems to be one; m.mu
// is held.
func (m *MQTT) rivalNote(l *link) string {
	if !m.retry.rival || l != nil && time.Since(l.since) > m.retry.lasting() {
		return ""
	}
	unique := "is device.id unique?"
	if m.opts.ClientID != ClientID(m.opts.Device, m.opts.Name) {
		unique = "is it unique?"
	}
	return fmt.Sprintf("%s: another client may use the client id %q; %s", rivalSign, m.opts.ClientID, unique)
}
