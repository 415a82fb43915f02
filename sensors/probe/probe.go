package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Options say how to reach a broker, and what it is asked about.
type Options struct {
	// Dial opens a connection, and tells how to greet.
	Dial     func(ctx context.Context) (c net.Conn, username, password string, err error)
	ClientID string   // one that nobody else has
	Filters  []string // that are to be subscribed to
}

// Facts are what a broker showed of itself.
type Facts struct {
	V5     bool // it speaks MQTT 5 as well, and Limits are what it says
	Limits Limits

	Asked    []string // Options.Filters
	Keeps    bool     // a session outlives its connection
	Refused  []string // of the filters, those that this client may not subscribe to
	Lowered  []string // of the filters, those that are granted at QoS 0 only
	NoShared bool     // shared subscriptions are refused

	Software string // as it says itself; "" if it does not
	Dropped  int64  // messages that it has dropped since its start; -1: it does not say
}

// Refusal is why a broker does not let a client in.
type Refusal struct {
	V5   bool
	Code byte
}

func (r *Refusal) Error() string {
	switch {
	case !r.V5 && (r.Code == 4 || r.Code == 5) || r.V5 && (r.Code == 0x86 || r.Code == 0x87):
		return "it does not let the client in: check username, password and certificate"
	case !r.V5 && r.Code == 2 || r.V5 && r.Code == 0x85:
		return "it refuses the client id"
	}
	return fmt.Sprintf("it refuses the connection with code %#02x", r.Code)
}

// unspoken tells that the broker does not know the version.
func (r *Refusal) unspoken() bool { return r.Code == 1 || r.Code == 0x84 }

// Topics where mosquitto, and brokers that do as it does, tell about themselves.
const (
	topicVersion = "$SYS/broker/version"
	topicDropped = "$SYS/broker/publish/messages/dropped"
)

// Run asks the broker. It makes four connections, one after the other. The error is
// that of dialling, a *Refusal, or what broke the connection.
func Run(ctx context.Context, o Options) (Facts, error) {
	f := Facts{Asked: o.Filters, Dropped: -1}
	var refused *Refusal
	limits, err := o.limits(ctx)
	switch {
	case err == nil:
		f.V5, f.Limits = true, limits
	case errors.As(err, &refused) && refused.unspoken(), errors.Is(err, io.EOF), errors.Is(err, errMalformed):
		// it knows MQTT 3.1.1 only
	default:
		return f, err
	}
	for _, second := range []bool{false, true} {
		c, present, err := o.connect(ctx, false)
		if err != nil {
			return f, err
		}
		c.bye()
		f.Keeps = second && present
	}
	c, _, err := o.connect(ctx, true) // which has the session forgotten
	if err != nil {
		return f, err
	}
	defer c.bye()
	return f, o.subscribe(c, &f)
}

// limits greets in MQTT 5.
func (o *Options) limits(ctx context.Context) (Limits, error) {
	c, err := o.open(ctx)
	if err != nil {
		return Limits{}, err
	}
	defer c.Close()
	forever := []byte{5, propSessionExpiry, 0xff, 0xff, 0xff, 0xff}
	body, err := c.greet(o, 5, true, forever)
	if err != nil {
		return Limits{}, err
	}
	if len(body) < 3 || body[1] != 0 {
		if len(body) >= 2 && body[1] != 0 {
			return Limits{}, &Refusal{true, body[1]}
		}
		return Limits{}, errMalformed
	}
	l, err := parseLimits(body[2:])
	if err != nil {
		return l, err
	}
	_, err = c.Write(appendPacket(nil, typeDisconnect, []byte{0, 5, propSessionExpiry, 0, 0, 0, 0}))
	return l, err
}

// connect greets in MQTT 3.1.1.
func (o *Options) connect(ctx context.Context, clean bool) (c *conn, present bool, err error) {
	if c, err = o.open(ctx); err != nil {
		return nil, false, err
	}
	body, err := c.greet(o, 4, clean, nil)
	if err == nil && len(body) != 2 {
		err = errMalformed
	}
	if err == nil && body[1] != 0 {
		err = &Refusal{false, body[1]}
	}
	if err != nil {
		c.Close()
		return nil, false, err
	}
	return c, body[0]&1 != 0, nil
}

// subscribe looks which filters are granted, and what $SYS says. Who reads of a shared
// subscription would take messages from others: of those the filter alone is asked for.
func (o *Options) subscribe(c *conn, f *Facts) error {
	filters := make([]string, len(o.Filters))
	for i, text := range o.Filters {
		filters[i] = text
		if rest, ok := strings.CutPrefix(text, "$share/"); ok {
			_, filters[i], _ = strings.Cut(rest, "/")
		}
	}
	filters = append(filters, "$share/"+o.ClientID+"/"+o.ClientID, topicVersion, topicDropped)
	codes, err := c.subscribe(filters, func(topic string, data []byte) {
		switch topic {
		case topicVersion:
			f.Software = string(data[:min(len(data), 80)])
		case topicDropped:
			if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
				f.Dropped = n
			}
		}
	})
	if err != nil {
		return err
	}
	for i, filter := range o.Filters {
		switch codes[i] {
		case 0:
			f.Lowered = append(f.Lowered, filter)
		case 1, 2:
		default:
			f.Refused = append(f.Refused, filter)
		}
	}
	f.NoShared = codes[len(o.Filters)] >= 0x80
	slices.Sort(f.Refused)
	return nil
}
