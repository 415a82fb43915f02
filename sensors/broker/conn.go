package broker

import (
	"bufio"
	"errors"
	"io"
	"net"
	"time"

	"github.com/skerry-edge/skerry/sensors/gather"
)

const (
	helloWait  = 10 * time.Second // for TLS and CONNECT together
	readBuffer = 4 << 10          // bytes for each client
	maxTopics  = 64               // whose names and answers a connection remembers

	// What waits to be written to a client before messages of QoS 0 are dropped:
	// a share of maxUnwritten, and within these two.
	maxUnwritten = 64 << 20
	mostEach     = 1 << 20
	leastEach    = 64 << 10
)

// conn is one connection of a client. The broker's lock guards what follows mu.
type conn struct {
	b         *Broker
	net       net.Conn
	in        *bufio.Reader
	out       *gather.Writer
	version   byte
	bridge    bool
	keepAlive uint16        // seconds
	alive     time.Duration // the longest silence; 0 before CONNECT, and for any
	id        string
	rights    Rights
	window    int // messages the client takes unacknowledged
	maxPacket uint32
	gate      Gate // nil until it is needed; only the reader uses it
	topics    map[string]*topic

	// mu: b.mu
	s      *session
	will   *will
	acks   []*ack // to be sent, in this order
	ending bool
	why    error // set by whoever ended it
}

// topic is what a connection remembers of a topic it publishes to.
type topic struct {
	name     string
	may      bool
	reserved bool
	gen      uint64
	wanted   bool // by the inlet
	lonely   bool // no client subscribes to it
}

// Serve serves one client until its connection ends.
func (b *Broker) Serve(nc net.Conn) {
	nc.SetReadDeadline(time.Now().Add(helloWait))
	c := &conn{b: b, net: nc, topics: map[string]*topic{}}
	b.mu.Lock()
	full := b.stopping || len(b.conns) >= b.limits.Clients
	c.in = bufio.NewReaderSize(c, readBuffer)
	c.out = gather.New(nc, min(max(maxUnwritten/(len(b.conns)+1), leastEach), mostEach))
	defer c.out.Close()
	if !full {
		b.conns[c] = struct{}{}
	}
	b.mu.Unlock()
	if full {
		return
	}
	err := c.greet()
	if err == nil {
		err = c.read()
	}
	c.leave(err)
}

// Read implements io.Reader: what the client sends has to come within its
// keep-alive and a half.
func (c *conn) Read(p []byte) (int, error) {
	if c.alive > 0 {
		c.net.SetReadDeadline(time.Now().Add(c.alive))
	}
	return c.net.Read(p)
}

// read takes packets in until the connection ends; nil means that the client
// said goodbye.
func (c *conn) read() error {
	for {
		first, body, err := c.next()
		if err != nil {
			return err
		}
		bye, err := c.process(first, body)
		if err != nil || bye {
			return err
		}
	}
}

// next reads one packet. A packet that is too large is not read.
func (c *conn) next() (first byte, body []byte, err error) {
	first, n, err := readHeader(c.in)
	if err != nil {
		return 0, nil, err
	}
	if n > c.b.limits.Packet {
		return 0, nil, refusedSize
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return first, body, err
}

// process does what a packet asks for; bye tells that it was the last one.
func (c *conn) process(first byte, body []byte) (bye bool, err error) {
	kind, flags := first>>4, first&15
	want := byte(0)
	if kind == typePubrel || kind == typeSubscribe || kind == typeUnsubscribe {
		want = 2
	}
	if kind != typePublish && flags != want {
		return false, refusedMalformed
	}
	switch kind {
	case typePublish:
		return false, c.publish(flags, body)
	case typePuback, typePubrec, typePubrel, typePubcomp:
		return false, c.answered(kind, body)
	case typeSubscribe:
		return false, c.subscribe(body)
	case typeUnsubscribe:
		return false, c.unsubscribe(body)
	case typePingreq:
		return false, c.out.Add([]byte{typePingresp << 4, 0})
	case typeDisconnect:
		return true, c.goodbye(body)
	}
	return false, protocolError("a client does not send packets of type %d", kind)
}

// goodbye takes a DISCONNECT: the will is void, unless the client wants it.
func (c *conn) goodbye(body []byte) error {
	in := cursor{b: body}
	var code byte
	var props properties
	if c.version == 5 && len(in.b) > 0 {
		code = in.u8()
		if len(in.b) > 0 {
			props = in.properties(ofDisconnect)
		}
	}
	if in.bad || len(in.b) > 0 {
		return refusedMalformed
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if code != 4 {
		c.will = nil
	}
	if props.sessionExpiry != nil && c.s.conn == c {
		if c.s.expiry == 0 && *props.sessionExpiry > 0 {
			return protocolError("a session cannot be made to last when it ends")
		}
		c.s.setExpiry(c.b.capped(*props.sessionExpiry))
	}
	return nil
}

// leave ends the connection on the broker's side.
func (c *conn) leave(err error) {
	b := c.b
	b.mu.Lock()
	delete(b.conns, c)
	if c.why == nil {
		c.why = c.explain(err)
	}
	c.ending = true
	for _, a := range c.acks {
		b.held -= a.size
	}
	c.acks = nil
	b.room.Broadcast()
	var last *Message
	if c.s != nil {
		last = c.detach()
	}
	why := c.why
	b.mu.Unlock()
	if c.gate != nil {
		c.gate.Close()
	}
	if last != nil {
		b.publishWill(last)
	}
	var r reason
	if errors.As(why, &r) && r != refusedStopping {
		c.tell(r)
		b.mu.Lock()
		b.warn("client disconnected", "client", c.id, "remote", c.net.RemoteAddr(), "reason", why)
		b.mu.Unlock()
	}
}

// detach takes the session from the connection. It returns the will, if it is
// to be published now.
func (c *conn) detach() *Message {
	b, s, w := c.b, c.s, c.will
	if s.conn == c {
		s.park()
		if !s.lasting() {
			s.end()
		}
	}
	switch {
	case w == nil || b.stopping:
		return nil
	case w.delay > 0 && s.conn == nil && s.lasting():
		b.wills[s.id] = lateWill{m: w.message, at: time.Now().Unix() + int64(w.delay)}
		return nil
	}
	return w.message
}

// explain makes a reason of what ended the reader, where it is the client's
// doing.
func (c *conn) explain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, errMalformed):
		return refusedMalformed
	case errors.As(err, &timeout) && timeout.Timeout():
		return refusedSilent
	}
	return err
}

// tell sends a DISCONNECT with a reason, which only MQTT 5 has.
func (c *conn) tell(r reason) {
	if c.version == 5 && c.s != nil {
		c.out.Add([]byte{typeDisconnect << 4, 2, r.code, 0}) // the connection ends either way
	}
}

// kick ends the connection; the lock is held.
func (c *conn) kick(why error) {
	if c.ending {
		return
	}
	c.ending, c.why = true, why
	var r reason
	if errors.As(why, &r) {
		c.tell(r)
	}
	c.b.room.Broadcast()
	go c.out.Close() // which writes what waits first
}

// end is kick for those without the lock.
func (c *conn) end(why error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.kick(why)
}
