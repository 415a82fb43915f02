package main

import "time"

const (
	leastPause  = 30 * time.Second // between reports; doubled while they follow each other
	mostPause   = 15 * time.Minute
	calm        = time.Hour // after so long the pause is short again
	settleMost  = 30 * time.Second
	dailyReport = 24 * time.Hour
)

// news decides when a report is sent: when its gist is new and stays so for a look, or
// has been moving for half a minute, but not too often; and daily. A device whose
// state changes every second sends four reports an hour.
type news struct {
	daily time.Duration

	sent    string // gist of the last report that the broker has; "": none, or the connection is new
	last    time.Time
	pause   time.Duration
	seen    string    // the gist at the last look
	differs time.Time // since when it is not what was sent; zero: it is
}

// due has the next report sent although nothing is new: the broker may have lost it.
func (n *news) due() { n.sent = "" }

// ready tells whether a report of that gist is to be sent now.
func (n *news) ready(gist string, now time.Time) bool {
	settled := gist == n.seen
	n.seen = gist
	switch {
	case gist == n.sent:
		n.differs = time.Time{}
		return now.Sub(n.last) >= n.daily
	case n.differs.IsZero():
		n.differs = now
	}
	return (settled || now.Sub(n.differs) >= settleMost) && (n.last.IsZero() || now.Sub(n.last) >= n.pause)
}

// told notes that the broker has a report of that gist.
func (n *news) told(gist string, now time.Time) {
	if n.pause = min(2*n.pause, mostPause); n.pause == 0 || now.Sub(n.last) >= calm {
		n.pause = leastPause
	}
	n.sent, n.last, n.differs = gist, now, time.Time{}
}
