package broker

// ack is an acknowledgement that waits for its turn.
type ack struct {
	c     *conn
	kind  byte
	id    uint16
	size  int // bytes held until it is sent
	ready bool
}

// addAck queues an acknowledgement, in its turn. It waits while too much is
// unacknowledged; false means that the connection ends. The lock is held.
func (c *conn) addAck(kind byte, id uint16, size int) (*ack, bool) {
	b := c.b
	for !c.ending && c.s.conn == c && (len(c.acks) >= b.limits.Inflight || len(c.acks) > 0 && b.held+size > b.limits.HeldBytes) {
		b.room.Wait()
	}
	if c.ending || c.s.conn != c {
		return nil, false
	}
	a := &ack{c: c, kind: kind, id: id, size: size}
	c.acks = append(c.acks, a)
	b.held += size
	return a, true
}

// done releases a, and what it held up. The lock is held.
func (a *ack) done() {
	c := a.c
	a.ready = true
	released := false
	for len(c.acks) > 0 && c.acks[0].ready {
		first := c.acks[0]
		c.acks[0] = nil
		c.acks = c.acks[1:]
		c.b.held -= first.size
		c.sendAck(first.kind, first.id, 0)
		released = true
	}
	if released {
		c.b.room.Broadcast()
	}
}
