package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// FleetConfig is where the device hears that there is something new, and tells how
// it is. It is off unless one of Broker and URL is set.
type FleetConfig struct {
	Name         string        `key:"name"`   // of the fleet: a level of the topics
	Broker       string        `key:"broker"` // one of brokers, or the embedded one
	URL          string        `key:"url"`    // of a broker for this alone; those below are for it
	Username     string        `key:"username"`
	Password     string        `key:"password"` // from PasswordFile if that is set
	PasswordFile string        `key:"password_file"`
	CAFile       string        `key:"ca_file"`
	CertFile     string        `key:"cert_file"`
	KeyFile      string        `key:"key_file"`
	Keepalive    time.Duration `key:"keepalive"` // of the connection, which is one of its own
}

// defaultFleetKeepalive costs little on a line that is paid for; a device that is gone
// is told of after half as long again.
const defaultFleetKeepalive = 5 * time.Minute

func (c *Config) fillFleetDefaults() {
	if f := &c.Fleet; f.Broker+f.URL != "" {
		f.Keepalive = cmp.Or(f.Keepalive, defaultFleetKeepalive)
	}
}

func (c *Config) checkFleet(p *problems) {
	f := &c.Fleet
	if err := fleetsync.CheckTopicName(f.Name); f.Name+f.Broker+f.URL != "" && err != nil {
		p.add("fleet.name", "%v", err)
	}
	if f.Keepalive != 0 && (f.Keepalive < 2*time.Second || f.Keepalive > 65535*time.Second) {
		p.add("fleet.keepalive", "is from 2s to 18h, not %s", f.Keepalive)
	}
	switch known := c.brokerNames(); {
	case f.Broker != "" && f.URL != "":
		p.add("fleet.broker", "is set and url too: keep one")
	case f.URL != "":
		f.own().check("fleet", p)
	case f.Username+f.Password+f.PasswordFile+f.CAFile+f.CertFile+f.KeyFile != "":
		p.add("fleet.url", "is missing: it names the broker that the other keys are for")
	case f.Broker == "" || slices.Contains(known, f.Broker):
	case len(known) == 0:
		p.add("fleet.broker", "is %q, and there is no broker: describe it in brokers, or set fleet.url instead", f.Broker)
	default:
		p.add("fleet.broker", "is the name of one of brokers, or of the embedded one (%s), not %q", strings.Join(known, ", "), f.Broker)
	}
	if b := c.fleetBroker(); b != nil && b.WillTopic != "" && b.WillTopic == fleetsync.OnlineTopic(f.Name, c.Device.ID) {
		p.add("fleet.broker", "tells on %s whether the device is there, and the will of broker %s goes there too: take will_topic out", b.WillTopic, b.Name)
	}
}

// own is the broker that is for this alone, with what people do not set.
func (f *FleetConfig) own() *BrokerConfig {
	return &BrokerConfig{
		Name: "fleet", URL: f.URL, Username: f.Username, Password: f.Password, PasswordFile: f.PasswordFile,
		CAFile: f.CAFile, CertFile: f.CertFile, KeyFile: f.KeyFile,
		Keepalive: f.Keepalive, Inflight: defaultInflight, MaxPacket: defaultMaxPacket,
	}
}

// fleetBroker is the broker of the fleet, nil if it is the embedded one, or none.
func (c *Config) fleetBroker() *BrokerConfig {
	if c.Fleet.URL != "" {
		return c.Fleet.own()
	}
	for i := range c.Brokers {
		if c.Brokers[i].Name == c.Fleet.Broker {
			return &c.Brokers[i]
		}
	}
	return nil
}
