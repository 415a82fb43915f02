package uplink

import (
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// rateRefuses is nil if the rate lets a record of that priority go now: there is
// room, and nothing more important waits for it.
func (m *Meter) rateRefuses(priority uint8) *Refusal {
	now := time.Now()
	at := now.Add(m.bucket.wait(m.guess.of(m.flying)))
	if priority < m.next.priority {
		at = later(at, m.next.ends(priority))
	}
	if !at.After(now) {
		if priority == m.next.priority {
			m.next = line{} // it was its turn
		}
		return nil
	}
	why := fmt.Sprintf("link %s carries %s a second; it is the turn of this one soon", m.opts.Name, agent.BytesText(m.opts.Rate))
	if priority >= m.next.priority || !m.next.ends(0).After(now) {
		m.next = line{priority, at, why}
	}
	return &Refusal{At: at, Why: why}
}

// bucket bounds the rate: it fills by rate bytes a second, and something may go
// while anything is in it, which may empty it below zero.
type bucket struct {
	rate  float64 // 0: no bound
	level float64
	at    time.Time // of level
}

func newBucket(rate int64) bucket {
	return bucket{rate: float64(rate), level: float64(rate), at: time.Now()}
}

func (b *bucket) fill() {
	now := time.Now()
	b.level = min(b.level+b.rate*now.Sub(b.at).Seconds(), b.rate) // a second's worth at most
	b.at = now
}

func (b *bucket) take(n int64) {
	if b.rate > 0 {
		b.fill()
		b.level -= float64(n)
	}
}

// wait is how long nothing may go, while so much is on its way.
func (b *bucket) wait(flying int64) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill()
	if left := b.level - float64(flying); left <= 0 {
		return time.Duration((1 - left) / b.rate * float64(time.Second))
	}
	return 0
}
