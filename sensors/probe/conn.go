package probe

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// conn is one connection; it ends with the context that it was opened in.
type conn struct {
	net.Conn
	in       *bufio.Reader
	user     string
	password string
	stop     func() bool
}

func (o *Options) open(ctx context.Context) (*conn, error) {
	c, user, password, err := o.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c), user, password, context.AfterFunc(ctx, func() { c.Close() })}, nil
}

// Close implements io.Closer.
func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// bye says goodbye. If that fails the broker finds out anyway.
func (c *conn) bye() {
	if _, err := c.Write(appendPacket(nil, typeDisconnect, nil)); err == nil {
		c.closeAfterAnswer()
		return
	}
	c.Close()
}

// closeAfterAnswer waits for the broker to close, so that it has taken the goodbye in
// before the next connection of the same client.
func (c *conn) closeAfterAnswer() {
	c.SetReadDeadline(time.Now().Add(goodbye)) // its error is that of the read
	for {
		if _, _, err := readPacket(c.in); err != nil {
			c.Close()
			return
		}
	}
}

// goodbye is how long a broker may take to close a connection that is over.
const goodbye = time.Second

const (
	flagUser     = 0x80
	flagPassword = 0x40
	flagClean    = 0x02
)

// keepAlive is longer than a probe takes, seconds.
const keepAlive = 60

// greet sends a CONNECT and gives the body of the CONNACK.
func (c *conn) greet(o *Options, version byte, clean bool, properties []byte) ([]byte, error) {
	flags := byte(0)
	if clean {
		flags |= flagClean
	}
	if c.user != "" {
		flags |= flagUser
	}
	if c.password != "" {
		flags |= flagPassword
	}
	b := append(appendText(nil, "MQTT"), version, flags)
	b = append(binary.BigEndian.AppendUint16(b, keepAlive), properties...)
	b = appendText(b, o.ClientID)
	if c.user != "" {
		b = appendText(b, c.user)
	}
	if c.password != "" {
		b = appendText(b, c.password)
	}
	if _, err := c.Write(appendPacket(nil, typeConnect, b)); err != nil {
		return nil, err
	}
	first, body, err := readPacket(c.in)
	if err != nil {
		return nil, fmt.Errorf("no answer to the MQTT greeting: %w", err)
	}
	if first&typeMask != typeConnack {
		return nil, errMalformed
	}
	return body, nil
}

// subscribe asks for filters at QoS 1 and gives the broker's answer to each. Each
// message that comes before the answer to a ping behind it is given to take.
func (c *conn) subscribe(filters []string, take func(topic string, data []byte)) ([]byte, error) {
	b := []byte{0, 1} // the packet's id
	for _, f := range filters {
		b = append(appendText(b, f), 1)
	}
	if _, err := c.Write(appendPacket(appendPacket(nil, typeSubscribe, b), typePing, nil)); err != nil {
		return nil, err
	}
	var codes []byte
	for {
		first, body, err := readPacket(c.in)
		if err != nil {
			return nil, fmt.Errorf("no answer to a subscription: %w", err)
		}
		switch first & typeMask {
		case typeSuback:
			if len(body) != 2+len(filters) {
				return nil, errMalformed
			}
			codes = body[2:]
		case typePublish:
			if topic, data, ok := message(first, body); ok {
				take(topic, data)
			}
		case typePong:
			if codes == nil {
				return nil, errMalformed
			}
			return codes, nil
		}
	}
}
