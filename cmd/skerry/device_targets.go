package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors"
	"github.com/skerry-edge/skerry/sensors/mqtt"
	"github.com/skerry-edge/skerry/uplink"
)

// targetKeepAlive is the time between pings of a target's connection: each costs
// about 150 bytes of a link that may be metered, and there are mobile networks
// that forget a connection after five silent minutes.
const targetKeepAlive = 4 * time.Minute

// errSilent is why a connection is given up before its pings tell.
var errSilent = errors.New("the broker did not acknowledge in time")

// targetClient is the connection of a target of kind mqtt, in uplink's words.
type targetClient struct{ *sensors.MQTT }

// newTargetClient makes it; it connects to nobody yet. Its client id is apart
// from that of a broker of the same name: two clients of one id would throw
// each other out. up is told of each connection, and must not wait; it and log
// may be nil.
func newTargetClient(log *slog.Logger, up func()) func(uplink.TargetConfig) (uplink.MQTTClient, error) {
	return func(c uplink.TargetConfig) (uplink.MQTTClient, error) {
		m, err := sensors.NewMQTT(sensors.MQTTOptions{
			Name: c.Name, Device: c.Device, URL: c.URL, Clean: true,
			ClientID: cmp.Or(c.ClientID, sensors.ClientID(c.Device, "target-"+c.Name)),
			Username: c.Username, Password: c.Password, PasswordFile: c.PasswordFile,
			CAFile: c.CAFile, CertFile: c.CertFile, KeyFile: c.KeyFile,
			KeepAlive: cmp.Or(c.Keepalive, targetKeepAlive), Dial: c.Dial, Log: log,
			Linked: func(why error) {
				if why == nil && up != nil {
					up()
				}
			},
		})
		return targetClient{m}, err
	}
}

// Run implements uplink.MQTTClient. Nothing is subscribed, so nothing comes.
func (c targetClient) Run(ctx context.Context) error {
	return c.MQTT.Run(ctx, func(*agent.Event, func(error)) {})
}

// Connected implements uplink.MQTTClient: a broker that refuses this client is
// a target on HOLD.
func (c targetClient) Connected(ctx context.Context) error {
	err := c.MQTT.Connected(ctx)
	if err == nil {
		return nil
	}
	class := uplink.Retry
	var refused mqtt.Refused
	if errors.As(err, &refused) {
		switch refused {
		case mqtt.RefusedPassword, mqtt.RefusedAccess, mqtt.RefusedID:
			class = uplink.Hold
		}
	}
	return &uplink.Error{Class: class, Reason: err.Error(), Err: err, Away: true}
}

// Send implements uplink.MQTTClient. A broker that acknowledges nothing in time
// is asked again over a new connection.
func (c targetClient) Send(ctx context.Context, recs []agent.Record) []error {
	errs := c.MQTT.Send(ctx, recs)
	if late := func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }; slices.ContainsFunc(errs, late) {
		c.Reconnect(errSilent)
	}
	return errs
}
