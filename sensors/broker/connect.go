package broker

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

const maxClientID = 256 // bytes

// greet takes the CONNECT and answers it.
func (c *conn) greet() error {
	first, body, err := c.next()
	if err != nil {
		return err
	}
	if first != typeConnect<<4 {
		return protocolError("the first packet must be a CONNECT")
	}
	p, err := parseConnect(body)
	if err == nil {
		err = c.admit(p)
	}
	var r reason
	if errors.As(err, &r) && (p != nil || r == refusedVersion) {
		version := byte(4)
		if p != nil {
			version = p.version
		}
		c.refuse(version, r)
	}
	if err == nil {
		c.alive = time.Duration(c.keepAlive) * 1500 * time.Millisecond
		c.net.SetReadDeadline(time.Time{})
	}
	return err
}

func (c *conn) refuse(version byte, r reason) {
	if version == 5 {
		c.out.Add([]byte{typeConnack << 4, 3, 0, r.code, 0})
		return
	}
	c.out.Add([]byte{typeConnack << 4, 2, 0, r.connectCode()})
}

// admit checks who the client is, and gives it its session.
func (c *conn) admit(p *connectPacket) error {
	c.version, c.bridge, c.keepAlive, c.id = p.version, p.bridge, p.keepAlive, p.id
	switch {
	case p.props.authMethod:
		return refusedAuth
	case p.id == "" && p.version < 5 && !p.clean, len(p.id) > maxClientID:
		return refusedClientID
	case p.id == "":
		c.id = randomID()
	}
	rights, ok := c.b.opts.Login(Login{
		User: p.user, Named: p.hasUser, Password: p.password, ClientID: c.id, Remote: c.net.RemoteAddr().String(),
	})
	if !ok {
		return fmt.Errorf("user %.64q: %w", p.user, refusedLogin)
	}
	c.rights = rights.expand(p.user, c.id)
	if p.will != nil && reserved(p.will.message.Topic) {
		p.will = nil
	}
	if p.will != nil && !c.rights.mayPublish(p.will.message.Topic) {
		return fmt.Errorf("will on %q: %w", p.will.message.Topic, refusedRights)
	}
	c.window, c.maxPacket = c.b.limits.Inflight, p.props.maxPacket
	if p.props.receiveMax > 0 {
		c.window = min(c.window, int(p.props.receiveMax))
	}
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	return c.attach(p)
}

func randomID() string {
	var b [10]byte
	rand.Read(b[:]) // never fails
	return "auto-" + hex.EncodeToString(b[:])
}

// attach gives the connection its session, an older one or a new one, and
// answers. The lock is held.
func (c *conn) attach(p *connectPacket) error {
	b := c.b
	if b.stopping {
		return refusedStopping
	}
	s := b.sessions[c.id]
	if s != nil && s.conn != nil {
		old := s.conn
		s.park()
		old.kick(refusedTakenOver)
	}
	if s != nil && (p.clean || !s.lasting() || s.user != p.user) {
		s.end()
		s = nil
	}
	present := s != nil
	if s == nil {
		if len(b.sessions) >= b.limits.Clients {
			return refusedUnavailable
		}
		s = newSession(b, c.id, p.user, 0)
		b.sessions[c.id] = s
	}
	delete(b.wills, c.id)
	s.setExpiry(b.wantedExpiry(p))
	s.conn, c.s = c, s
	if c.will = p.will; c.will != nil {
		c.will.message.origin = c.id
	}
	c.out.Add(c.connack(p, present, s.expiry))
	if present {
		s.limit(&c.rights)
		s.resume()
	}
	return nil
}

// wantedExpiry is how many seconds the session shall outlive its connection.
func (b *Broker) wantedExpiry(p *connectPacket) uint32 {
	switch {
	case p.version == 5 && p.props.sessionExpiry != nil:
		return b.capped(*p.props.sessionExpiry)
	case p.version == 5 || p.clean:
		return 0
	}
	return b.capped(1<<32 - 1)
}

func (b *Broker) capped(seconds uint32) uint32 {
	return uint32(min(int64(seconds), int64(b.limits.Away/time.Second)))
}

// setExpiry changes how long s lasts, and has the disk know.
func (s *session) setExpiry(seconds uint32) {
	if s.expiry == seconds {
		return
	}
	was := s.stored()
	s.expiry = seconds
	switch {
	case s.stored():
		s.b.disk.session(s)
		if !was {
			for _, sub := range s.subs {
				s.b.disk.filter(s.id, &sub.filterOption, nil)
			}
		}
	case was:
		s.b.disk.end(s.id)
	}
}

// limit drops what the client has no right to any more.
func (s *session) limit(rights *Rights) {
	for full, sub := range s.subs {
		if !rights.maySubscribe(sub.filter) {
			s.remove(full, nil)
		}
	}
}

// connack is the answer to a CONNECT that was accepted.
func (c *conn) connack(p *connectPacket, present bool, expiry uint32) []byte {
	body := []byte{0, 0}
	if present {
		body[0] = 1
	}
	if c.version == 5 {
		var props []byte
		if asked := p.props.sessionExpiry; asked != nil && *asked != expiry {
			props = appendProp32(props, propSessionExpiry, expiry)
		}
		props = binary.BigEndian.AppendUint16(append(props, propReceiveMaximum), uint16(c.b.limits.Inflight))
		props = appendProp32(props, propMaximumPacketSize, uint32(c.b.limits.Packet))
		if p.id == "" {
			props = appendText(append(props, propAssignedClientID), c.id)
		}
		props = append(props, propSubIDAvailable, 0)
		body = append(appendVarint(body, len(props)), props...)
	}
	return appendPacket(nil, typeConnack<<4, body)
}
