package broker

import "time"

// sendNow sends a message of QoS 0; false means that the client is too slow.
func (c *conn) sendNow(m *Message, retain bool) bool {
	d := delivery{m: m, retain: retain}
	b, ok := c.encode(&d)
	return !ok || c.out.TryWrite(b) == nil
}

// sendDelivery sends d; false means that it is over, or too large for the
// client. How much waits to be written is bounded by the window.
func (c *conn) sendDelivery(d *delivery) bool {
	b, ok := c.encode(d)
	if ok {
		c.out.Add(b) // if that fails the reader sees why
	}
	return ok
}

func (c *conn) encode(d *delivery) ([]byte, bool) {
	var left uint32
	if d.m.expires > 0 {
		var alive bool
		if left, alive = d.m.left(time.Now().Unix()); !alive {
			return nil, false
		}
	}
	if c.maxPacket > 0 && publishSize(d.m) > int(c.maxPacket) {
		return nil, false
	}
	c.b.scratch = appendPublish(c.b.scratch[:0], c.version, d.m, d, left)
	return c.b.scratch, true
}

// sendAck sends an acknowledgement at once.
func (c *conn) sendAck(kind byte, id uint16, code byte) {
	var buf [8]byte
	c.out.Add(appendAck(buf[:0], c.version, kind, id, code)) // if that fails the reader sees why
}
