package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
	mqttbroker "github.com/skerry-edge/skerry/sensors/broker"
	"github.com/skerry-edge/skerry/wasm"
)

const (
	minDisk       = 16 << 20
	maxPacketSize = 256 << 20 // MQTT's own limit
	maxSocketPath = 107       // bytes; sockaddr_un
	maxLinger     = time.Second
)

// names are what devices, brokers, targets and secrets may be called.
var names = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// check tells all mistakes in c but those that follow from values that could
// not be read.
func (c *Config) check(unread problems) problems {
	var p problems
	if len(unread) == 0 { // what could not be read may be the broker
		c.checkEmpty(&p)
	}
	c.checkDevice(&p)
	for i := range c.Brokers {
		c.Brokers[i].check(fmt.Sprintf("brokers[%d]", i), &p)
	}
	c.checkSourceNames(&p)
	c.checkListen(&p)
	c.checkHTTPIn(&p)
	c.checkSources(&p)
	c.checkRegistry(&p)
	c.Policy.check(&p)
	c.checkFleet(&p)
	for i := range c.Targets {
		c.Targets[i].check(fmt.Sprintf("targets[%d]", i), &p)
	}
	p.checkNames("targets", len(c.Targets), func(i int) string { return c.Targets[i].Name })
	c.checkUplink(&p)
	c.checkTelemetry(&p)
	c.checkPage(&p)
	c.checkCredentials(&p)
	c.checkSecrets(&p)
	c.checkRest(&p)
	return p.without(unread)
}

// checkEmpty refuses an agent that could neither hear of anything nor be given
// anything to do.
func (c *Config) checkEmpty(p *problems) {
	if len(c.Brokers)+len(c.Sources) == 0 && c.Broker.Listen+c.HTTPIn.Listen+c.Registry.Ref+c.Fleet.URL == "" {
		p.add("brokers", "is empty, as is sources, and broker.listen, http_in.listen and registry.ref are not set, so the agent would have nothing to do: name the MQTT broker to connect to (docs/configuration.md shows how)")
	}
}

func (c *Config) checkDevice(p *problems) {
	if !names.MatchString(c.Device.ID) {
		p.add("device.id", "is 1 to 64 letters, digits, dots, dashes and underscores, not %q (without the key it is the host name)", c.Device.ID)
	}
	for i, label := range c.Device.Labels {
		if name, _, ok := strings.Cut(label, "="); !ok || !names.MatchString(name) {
			p.add(fmt.Sprintf("device.labels[%d]", i), "is name=value, such as site=west, not %q", label)
		}
	}
}

// checkNames tells names that are missing, odd or taken.
func (p *problems) checkNames(list string, n int, name func(int) string) {
	seen := map[string]int{}
	for i := range n {
		path := fmt.Sprintf("%s[%d].name", list, i)
		if !names.MatchString(name(i)) {
			p.add(path, "is 1 to 64 letters, digits, dots, dashes and underscores, not %q", name(i))
		} else if first, taken := seen[name(i)]; taken {
			p.add(path, "%q is the name of %s[%d] already: choose another", name(i), list, first)
		} else {
			seen[name(i)] = i
		}
	}
}

// checkSourceNames keeps the names that triggers know sources by apart.
func (c *Config) checkSourceNames(p *problems) {
	p.checkNames("brokers", len(c.Brokers), func(i int) string { return c.Brokers[i].Name })
	for i, b := range c.Brokers {
		switch {
		case slices.Contains(reserved, b.Name):
			p.add(fmt.Sprintf("brokers[%d].name", i), "%q is the name of the %s source: choose another", b.Name, b.Name)
		case c.Broker.Listen != "" && b.Name == c.Broker.Name:
			p.add(fmt.Sprintf("brokers[%d].name", i), "%q is the name of the embedded broker (broker.name): choose another", b.Name)
		}
	}
}

func (b *BrokerConfig) check(path string, p *problems) {
	p.checkURL(join(path, "url"), b.URL, "tcp", "mqtt", "ssl", "tls", "mqtts", "ws", "wss")
	if b.Username == "" && (b.Password != "" || b.PasswordFile != "") {
		p.add(join(path, "username"), "is missing: MQTT takes no password without one")
	}
	p.checkFile(join(path, "ca_file"), b.CAFile)
	p.checkPair(path, b.CertFile, b.KeyFile)
	p.checkRange(join(path, "inflight"), int64(b.Inflight), 1, 65535)
	if b.Keepalive < 2*time.Second || b.Keepalive > 65535*time.Second {
		p.add(join(path, "keepalive"), "is from 2s to 18h, not %s", b.Keepalive)
	}
	if b.MaxPacket < 1<<10 || b.MaxPacket > maxPacketSize {
		p.add(join(path, "max_packet"), "is from 1KiB to 256MiB, not %d bytes", b.MaxPacket)
	}
	p.checkRange(join(path, "will_qos"), int64(b.WillQoS), 0, 2)
	if b.WillTopic == "" && (b.WillPayload != "" || b.WillQoS > 0 || b.WillRetain) {
		p.add(join(path, "will_topic"), "is missing: it says where the last will goes")
	} else if err := agent.CheckTopic(b.WillTopic); b.WillTopic != "" && err != nil {
		p.add(join(path, "will_topic"), "%v", err)
	}
}

func (c *Config) checkListen(p *problems) {
	b := &c.Broker
	if b.Listen == "" {
		if len(b.Users) > 0 {
			c.Warnings = append(c.Warnings, "broker.users are set, but the embedded broker is off: set broker.listen to start it")
		}
		return
	}
	open := false
	for text := range strings.SplitSeq(b.Listen, ",") {
		e, err := mqttbroker.ParseEndpoint(strings.TrimSpace(text), b.CertFile != "")
		if err != nil {
			p.add("broker.listen", "is host:port or URLs: %v", err)
			continue
		}
		open = open || !e.Private()
	}
	if !names.MatchString(b.Name) || slices.Contains(reserved, b.Name) {
		p.add("broker.name", "is 1 to 64 letters, digits, dots, dashes and underscores, and not schedule, http or inside; it is %q", b.Name)
	}
	p.checkPair("broker", b.CertFile, b.KeyFile)
	if !b.Anonymous && len(b.Users) == 0 {
		p.add("broker.users", "is empty, so nobody could connect: name users, or set broker.anonymous to true")
	}
	p.checkUsers(b.Users)
	b.checkLimits(p)
	if b.Anonymous && open {
		c.Warnings = append(c.Warnings, "broker.anonymous lets everybody in who reaches "+b.Listen+": name users instead")
	}
}

func (p *problems) checkUsers(users []UserConfig) {
	p.checkNames("broker.users", len(users), func(i int) string { return users[i].Name })
	for i, u := range users {
		path := fmt.Sprintf("broker.users[%d]", i)
		if u.Password == "" && u.PasswordFile == "" {
			p.add(join(path, "password_file"), "is missing: every user needs a password")
		}
		p.checkFilters(join(path, "publish"), u.Publish)
		p.checkFilters(join(path, "subscribe"), u.Subscribe)
	}
}

func (p *problems) checkFilters(path string, filters []string) {
	for i, f := range filters {
		if err := agent.CheckFilter(f); err != nil {
			p.add(fmt.Sprintf("%s[%d]", path, i), "%v", err)
		}
	}
}

func (b *ListenConfig) checkLimits(p *problems) {
	p.checkRange("broker.max_clients", int64(b.MaxClients), 0, 100_000)
	p.checkRange("broker.max_packet", int64(b.MaxPacket), 0, maxPacketSize)
	p.checkRange("broker.inflight", int64(b.Inflight), 0, 65535)
	p.checkRange("broker.queue", int64(b.Queue), 0, 1_000_000)
	p.checkRange("broker.queue_bytes", int64(b.QueueBytes), 0, 1<<30)
	if b.Away != 0 && (b.Away < time.Second || b.Away > 10*365*24*time.Hour) {
		p.add("broker.away", "is from 1s to ten years, not %s", b.Away)
	}
}

func (c *Config) checkSecrets(p *problems) {
	p.checkNames("secrets", len(c.Secrets), func(i int) string { return c.Secrets[i].Name })
	for i, s := range c.Secrets {
		path := fmt.Sprintf("secrets[%d]", i)
		switch {
		case s.given() != 1:
			p.add(path, "names one of a file, an environment variable (env) and a credential of systemd (credential)")
		case s.File != "":
			p.checkFile(join(path, "file"), s.File)
		case s.Credential != "":
			s.checkCredential(join(path, "credential"), p)
		default:
			if _, ok := os.LookupEnv(s.Env); !ok {
				p.add(join(path, "env"), "environment variable %s is not set", s.Env)
			}
		}
	}
}

func (c *Config) checkRest(p *problems) {
	if info, err := os.Stat(c.Data); err == nil && !info.IsDir() {
		p.add("data", "%s is a file: name a directory", c.Data)
	}
	if c.Linger > maxLinger {
		p.add("linger", "is at most 1s, not %s: every event would wait for so long", c.Linger)
	}
	p.checkFile("http.ca_file", c.HTTP.CAFile)
	if c.Limits.Disk < minDisk {
		p.add("limits.disk", "is at least 16MiB, not %d bytes", c.Limits.Disk)
	}
	if c.Limits.Module < 64<<10 || c.Limits.Module > wasm.MaxModuleSize {
		p.add("limits.module", "is between 64KiB and 32MiB, not %d bytes", c.Limits.Module)
	}
	if len(c.Admin.Socket) > maxSocketPath {
		p.add("admin.socket", "%s has %d bytes, a unix socket's path has at most %d: choose a shorter one", c.Admin.Socket, len(c.Admin.Socket), maxSocketPath)
	}
	p.checkOneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	p.checkOneOf("log.format", c.Log.Format, "text", "json")
}

func (p *problems) checkOneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(path, "is one of %s, not %q", strings.Join(allowed, ", "), value)
	}
}

func (p *problems) checkRange(path string, n, low, high int64) {
	if n < low || n > high {
		p.add(path, "is from %d to %d, not %d", low, high, n)
	}
}

func (p *problems) checkURL(path, text string, schemes ...string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		// the text is not repeated: it may hold a password
		p.add(path, "is a URL that starts with %s://, such as %s://host.example", strings.Join(schemes, "://, "), schemes[0])
	case u.User != nil:
		p.add(path, "holds a user name: logs show URLs, so write username and password_file instead")
	}
}

func (p *problems) checkPair(path, cert, key string) {
	if (cert == "") != (key == "") {
		p.add(join(path, "cert_file"), "and key_file go together: set both or neither")
	}
	p.checkFile(join(path, "cert_file"), cert)
	p.checkFile(join(path, "key_file"), key)
}

// checkFile tells a file that cannot be read now, rather than in the night. It
// names the file in full, since relative paths depend on two folders.
func (p *problems) checkFile(path, file string) {
	if file == "" {
		return
	}
	if abs, err := filepath.Abs(file); err == nil { // else as it is
		file = abs
	}
	info, err := os.Stat(file)
	if err != nil {
		p.add(path, "cannot be read: %v", err)
		return
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		p.add(path, "%s is no regular file", file)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		p.add(path, "cannot be read: %v", err)
		return
	}
	f.Close() // nothing was written
}
