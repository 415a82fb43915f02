package mqtt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/skerry-edge/skerry/sensors/gather"
)

// Options say how to greet a broker and who takes its messages in. ClientID,
// KeepAlive, MaxPacket and Receive are needed.
type Options struct {
	ClientID     string
	CleanSession bool
	Username     string
	Password     string
	Will         *Will
	KeepAlive    time.Duration // whole seconds; the connection is lost when nothing comes for 1.5 times as long
	MaxPacket    int64         // bytes of the largest PUBLISH to take in

	// Receive is called with each message, in order of arrival, by one goroutine.
	// While it runs nothing else is read.
	Receive func(m *Message)
}

// Will is what the broker publishes when this client is lost.
type Will struct {
	Topic   string
	Payload []byte
	QoS     uint8
	Retain  bool
}

// Refused is the broker's answer to a greeting that it does not accept: a
// CONNACK return code (MQTT 3.1.1, table 3.1).
type Refused byte

// Why a broker refuses a connection.
const (
	RefusedVersion     Refused = 1
	RefusedID          Refused = 2
	RefusedUnavailable Refused = 3
	RefusedPassword    Refused = 4
	RefusedAccess      Refused = 5
)

func (r Refused) Error() string {
	switch r {
	case RefusedVersion:
		return "the broker does not speak MQTT 3.1.1"
	case RefusedID:
		return "the broker refuses the client id"
	case RefusedUnavailable:
		return "the broker says that it is not available"
	case RefusedPassword:
		return "the broker refuses username or password"
	case RefusedAccess:
		return "the broker does not let this client in"
	}
	return fmt.Sprintf("the broker refuses the connection with code %d", byte(r))
}

const maxUnwritten = 1 << 20 // bytes that wait to be written before a writer has to

var errSilent = errors.New("the broker was silent for too long")

// Conn is one connection. Its methods may be called from any goroutine.
type Conn struct {
	opts   Options
	conn   net.Conn
	in     *reader
	pace   pace // of the reads
	read   int  // packets since the last read
	out    *gather.Writer
	closed atomic.Bool

	mu      sync.Mutex
	cause   error // why the connection ended; nil while it lives
	flights map[uint16]flight
	lastID  uint16
}

// Open greets the broker on c, which it owns from here on, and waits for the
// answer until ctx ends. present tells that the broker kept the session. The
// error is a Refused when the broker said no. After Open, Run must be called.
func Open(ctx context.Context, c net.Conn, opts Options) (conn *Conn, present bool, err error) {
	mc := &Conn{opts: opts, conn: c, flights: map[uint16]flight{}}
	mc.in = newReader(c, opts.MaxPacket, mc.beforeRead)
	mc.out = gather.New(c, maxUnwritten)
	giveUp := context.AfterFunc(ctx, func() { c.Close() })
	present, err = mc.greet()
	if !giveUp() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		mc.out.Close() // the error is told already
		return nil, false, err
	}
	return mc, present, nil
}

func (c *Conn) greet() (present bool, err error) {
	p := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	p.ProtocolName, p.ProtocolVersion = "MQTT", 4
	p.ClientIdentifier, p.CleanSession = c.opts.ClientID, c.opts.CleanSession
	p.Keepalive = uint16(c.opts.KeepAlive / time.Second)
	p.UsernameFlag, p.Username = c.opts.Username != "", c.opts.Username
	p.PasswordFlag, p.Password = c.opts.Password != "", []byte(c.opts.Password)
	if w := c.opts.Will; w != nil {
		p.WillFlag, p.WillTopic, p.WillMessage, p.WillQos, p.WillRetain = true, w.Topic, w.Payload, w.QoS, w.Retain
	}
	if err := c.put(true, func(b []byte) []byte { return appendPacket(b, p) }); err != nil {
		return false, err
	}
	answer, err := c.in.next()
	switch {
	case err != nil:
		return false, err
	case answer.first != typeConnack || len(answer.body) != 2:
		return false, ErrMalformed
	case answer.body[1] != 0:
		return false, Refused(answer.body[1])
	}
	return answer.body[0]&1 != 0, nil
}

// Run takes packets in until the connection is lost or closed, and tells why.
func (c *Conn) Run() error {
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { c.ping(stop) })
	err := c.receive()
	close(stop)
	watch.Wait()
	if failed := c.out.Err(); failed != nil {
		err = failed // it closed the connection
	}
	c.lose(err)
	c.out.Close() // what counts is the cause
	return c.why()
}

func (c *Conn) receive() error {
	for {
		p, err := c.in.next()
		if err != nil {
			return err
		}
		c.read++
		if err := c.handle(p); err != nil {
			return err
		}
	}
}

// beforeRead waits for company when the rate is high, and says how long the
// broker may be silent.
func (c *Conn) beforeRead() {
	c.pace.wait(c.read)
	c.read = 0
	c.conn.SetReadDeadline(time.Now().Add(c.opts.KeepAlive * 3 / 2)) // its error is that of the read
}

// ping asks the broker for a sign of life once per keep-alive, whatever else
// goes out: only an answer shows that it is there.
func (c *Conn) ping(stop <-chan struct{}) {
	tick := time.NewTicker(c.opts.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.out.Add([]byte{typePingreq, 0}) // it fails when the connection is lost
		case <-stop:
			return
		}
	}
}

// lose ends the connection; the first cause counts.
func (c *Conn) lose(cause error) {
	if isTimeout(cause) {
		cause = errSilent
	}
	c.mu.Lock()
	if c.cause != nil {
		c.mu.Unlock()
		return
	}
	c.cause = cause
	flights := c.flights
	c.flights = nil
	c.mu.Unlock()
	c.conn.Close() // the cause is what counts
	for _, f := range flights {
		f.over(cause)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (c *Conn) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Close says goodbye, writes what waits for at most half a second, and ends the
// connection. What is still under way fails with net.ErrClosed.
func (c *Conn) Close() {
	if !c.closed.CompareAndSwap(false, true) {
		return
	}
	c.out.Add([]byte{typeClose, 0}) // if it fails, the broker finds out anyway
	c.out.Close()
	c.lose(net.ErrClosed)
}

// put writes one packet; the error is what ended the connection.
func (c *Conn) put(mayWait bool, encode func([]byte) []byte) error {
	err := c.out.Encode(mayWait, encode)
	if errors.Is(err, net.ErrClosed) {
		if cause := c.why(); cause != nil {
			return cause
		}
	}
	return err
}
