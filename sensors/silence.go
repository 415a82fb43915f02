package sensors

import (
	"fmt"
	"sync"
	"time"
)

const (
	silentFor   = 10 * time.Minute // shorter silences are never told
	silentTimes = 20               // how many messages in a row have to be missing
	enough      = 20               // messages that tell how often they come
)

// silence notices a source that was busy and has fallen silent while it is
// connected: a broker may grant a subscription and, by its access rules, send
// nothing.
type silence struct {
	mu          sync.Mutex
	count       int64
	first, last time.Time
}

func (s *silence) heard(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		s.first = now
	}
	s.count++
	s.last = now
}

// note tells of the silence; "" if there is none.
func (s *silence) note(now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count < enough {
		return ""
	}
	usual, gap := s.last.Sub(s.first)/time.Duration(s.count-1), now.Sub(s.last)
	if gap < silentFor || gap < silentTimes*usual {
		return ""
	}
	return fmt.Sprintf("subscribed, and nothing came for %s, where there was a message every %s: are the sensors well, and may this client still read?",
		gap.Round(time.Minute), usual.Round(time.Millisecond))
}
