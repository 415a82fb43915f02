package sensors

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Notes keeps small notes that outlive the process, such as the filters that
// a broker's session holds. Get of a key that was never put gives nil, nil.
type Notes interface {
	Get(key string) ([]byte, error)
	Put(key string, value []byte) error
}

// Will is what the broker publishes when this client vanishes without a goodbye.
type Will struct {
	Topic, Payload string
	QoS            uint8
	Retain         bool
}

// MQTTOptions say which broker to connect to, and how. Name, URL and Device
// are needed; the zero value of everything else works. Files are read anew for
// each connection, so that tokens and certificates can be renewed.
type MQTTOptions struct {
	Name   string // the source's name: triggers name it in Via
	Device string
	URL    string // tcp, mqtt, ssl, tls, mqtts, ws or wss

	Username, Password string // may also stand in the URL
	PasswordFile       string // its first line, in place of Password
	CAFile             string // PEM: the only authorities to trust; "" trusts the system's
	CertFile, KeyFile  string // PEM: this client's certificate
	ClientID           string // "" means one made of Device and Name; it must stay the same
	Clean              bool   // the broker keeps nothing of this client
	Will               *Will  // nil for none

	KeepAlive time.Duration // between pings, whole seconds; 0 means 30 s
	MaxPacket int64         // bytes of the largest packet to take in; 0 means 256 KiB
	Inflight  int           // events not acknowledged yet; 0 means 1000
	Traced    bool          // events have the trace context of the CloudEvents that they carry
	Notes     Notes         // nil: subscribe anew after every start
	Log       *slog.Logger  // nil: slog.Default()

	// Linked is told when the connection is there, with nil, and when it is lost or
	// cannot be made at first, with the reason. It must not wait. Nil: nobody is.
	Linked func(why error)

	// Dial opens connections, such as metered ones. Nil: as net.Dialer does.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	defaultKeepAlive = 30 * time.Second
	defaultMaxPacket = 256 << 10
	defaultInflight  = 1000
	maxClientID      = 64 // bytes; more than MQTT 3.1.1 promises (23), fewer than any known broker refuses
)

var defaultPorts = map[string]string{"tcp": "1883", "ssl": "8883", "ws": "80", "wss": "443"}

// schemes maps what people write to tcp, ssl, ws and wss.
var schemes = map[string]string{
	"tcp": "tcp", "mqtt": "tcp", "ssl": "ssl", "tls": "ssl", "mqtts": "ssl", "ws": "ws", "wss": "wss",
}

// endpoint is a checked URL with what is needed to reach it.
type endpoint struct {
	url      *url.URL // scheme tcp, ssl, ws or wss; has a port and no credentials
	username string
	password string
	opts     *MQTTOptions // for the files
}

// access is what the files of an endpoint say now.
type access struct {
	password string
	tls      *tls.Config // nil for tcp and ws
}

// String is the URL for people, without credentials, which its query may hold
// too.
func (e *endpoint) String() string {
	u := *e.url
	u.RawQuery = ""
	return u.String()
}

func newEndpoint(o *MQTTOptions) (*endpoint, error) {
	u, err := parseURL(o.Name, o.URL)
	if err != nil {
		return nil, err
	}
	e := &endpoint{url: u, username: o.Username, password: o.Password, opts: o}
	if u.User != nil && e.username == "" {
		e.username = u.User.Username()
		e.password, _ = u.User.Password()
	}
	u.User = nil
	if !e.secure() && o.CAFile+o.CertFile+o.KeyFile != "" {
		return nil, fmt.Errorf("broker %s: certificates are set, but %s is not encrypted: use mqtts:// or wss://", o.Name, e)
	}
	if e.password+o.PasswordFile != "" && e.username == "" {
		return nil, fmt.Errorf("broker %s: a password needs a username", o.Name)
	}
	if _, err := e.access(); err != nil {
		return nil, fmt.Errorf("broker %s: %w", o.Name, err)
	}
	return e, nil
}

func (e *endpoint) secure() bool { return e.url.Scheme == "ssl" || e.url.Scheme == "wss" }

// overHTTP tells that the connection begins as a request for a WebSocket.
func (e *endpoint) overHTTP() bool { return strings.HasPrefix(e.url.Scheme, "ws") }

// access reads the files.
func (e *endpoint) access() (a access, err error) {
	a.password = e.password
	if e.opts.PasswordFile != "" {
		if a.password, err = readPassword(e.opts.PasswordFile); err != nil {
			return a, err
		}
	}
	if e.secure() {
		a.tls, err = clientTLS(e.opts, e.url.Hostname())
	}
	return a, err
}

func parseURL(name, raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		var perr *url.Error
		if errors.As(err, &perr) {
			err = perr.Err // the URL itself may hold a password
		}
		return nil, fmt.Errorf("broker %s: the URL cannot be read: %w", name, err)
	}
	scheme, ok := schemes[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("broker %s: URL scheme %q is unknown: use tcp, mqtts, ws or wss, as in tcp://host:1883", name, u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("broker %s: the URL names no host: write it as tcp://host:1883", name)
	}
	u.Scheme = scheme
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), defaultPorts[scheme])
	}
	if strings.HasPrefix(scheme, "ws") && u.Path == "" {
		u.Path = "/mqtt"
	}
	return u, nil
}

// clientTLS reads the certificates named in o.
func clientTLS(o *MQTTOptions, host string) (*tls.Config, error) {
	cfg := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA certificates: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no PEM certificate", o.CAFile)
		}
	}
	if o.CertFile == "" && o.KeyFile == "" {
		return cfg, nil
	}
	cert, err := loadKeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, err
	}
	cfg.Certificates = []tls.Certificate{cert}
	return cfg, nil
}

// loadKeyPair reads a certificate and its key, both of which must be named.
func loadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	if certFile == "" || keyFile == "" {
		return tls.Certificate{}, errors.New("a certificate needs a key and a key needs a certificate: set both files")
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return cert, nil
}

// isLoopback tells whether host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ClientID is the stable client id that is made of a device and a name: plain
// ASCII and bounded; where that changes the names, a hash keeps ids apart.
func ClientID(device, name string) string {
	full := "skerry-" + device + "-" + name
	id := strings.Map(func(r rune) rune {
		if isPlain(r) {
			return r
		}
		return '-'
	}, full)
	if id == full && len(id) <= maxClientID {
		return id
	}
	return fmt.Sprintf("%s-%08x", id[:min(len(id), maxClientID-9)], uint32(hash(full, nil)))
}
