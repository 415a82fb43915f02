package testbed

import (
	"math/rand/v2"
	"net"
	"time"
)

// chunk is what was read at once, and when it may come out.
type chunk struct {
	data []byte
	due  time.Time
}

// carry takes bytes from one side to the other until either ends: one goroutine
// reads and stamps, this one waits and writes, so that a delay costs no rate.
func (p *Proxy) carry(c *pair, from, to net.Conn, up bool) {
	chunks := make(chan chunk, linkBuffer/packet) // then the sender feels that nobody takes more
	go func() {
		defer close(chunks)
		for {
			b := make([]byte, packet)
			n, err := from.Read(b)
			if n > 0 {
				select {
				case chunks <- chunk{b[:n], c.due()}:
				case <-c.gone:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	var sum int64
	for ch := range chunks {
		sum += int64(len(ch.data))
		p.count(func(s *ProxyStats) {
			if up {
				s.Up += int64(len(ch.data))
			} else {
				s.Down += int64(len(ch.data))
			}
		})
		if !c.pass(ch, to) {
			break
		}
		limit := c.current().CutDown
		if up {
			limit = c.current().CutBehind
		}
		if limit > 0 && sum >= limit {
			break
		}
	}
	p.reset(c)
}

// pass waits until a chunk may come out, and writes it; false when the
// connection is over.
func (c *pair) pass(ch chunk, to net.Conn) bool {
	link := c.current()
	wait := time.Until(ch.due)
	if link.Rate > 0 {
		wait = max(wait, 0) + time.Duration(len(ch.data))*time.Second/time.Duration(link.Rate)
	}
	select {
	case <-c.frozen:
	case <-c.gone:
	case <-time.After(wait):
	}
	select {
	case <-c.frozen: // nothing comes through until it is reset
		<-c.gone
		return false
	case <-c.gone:
		return false
	default:
	}
	_, err := to.Write(ch.data)
	return err == nil
}

// due is when a chunk that came now may come out. A lost packet holds up all
// that is behind it, as TCP does.
func (c *pair) due() time.Time {
	link := c.current()
	at := time.Now().Add(link.Delay)
	if link.Loss > 0 && rand.Float64() < link.Loss {
		stall := link.Stall
		if stall == 0 {
			stall = max(200*time.Millisecond, 3*link.Delay)
		}
		at = at.Add(stall)
	}
	return at
}

func (c *pair) current() Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link
}

func (c *pair) setLink(l Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
}
