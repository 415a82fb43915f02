package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// Endpoint is where the broker listens.
type Endpoint struct {
	Network   string // tcp or unix
	Address   string // host:port, or a path
	TLS       bool
	WebSocket bool
}

// ParseEndpoint reads host:port (with TLS if there is a certificate), or a URL:
// tcp://, mqtt://, tls://, ssl://, mqtts://, ws://, wss:// and unix:/path.
func ParseEndpoint(text string, certificate bool) (Endpoint, error) {
	hint := fmt.Errorf("listen address %q must be host:port, as in 127.0.0.1:1883, or a URL with tcp, tls, ws, wss or unix", text)
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path = strings.TrimPrefix(path, "//"); path == "" {
			return Endpoint{}, hint
		}
		return Endpoint{Network: "unix", Address: path}, nil
	}
	e := Endpoint{Network: "tcp", Address: text, TLS: certificate}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" && !strings.HasPrefix(scheme, "ws") {
			return Endpoint{}, hint
		}
		e.Address = u.Host
		e.WebSocket = scheme == "ws" || scheme == "wss"
		switch scheme {
		case "tcp", "mqtt", "ws":
			e.TLS = false
		case "tls", "ssl", "mqtts", "wss":
			e.TLS = true
		default:
			return Endpoint{}, hint
		}
	}
	if _, port, err := net.SplitHostPort(e.Address); err != nil || port == "" {
		return Endpoint{}, hint
	}
	if e.TLS && !certificate {
		return Endpoint{}, fmt.Errorf("listen address %q wants TLS: set the broker's certificate and key", text)
	}
	return e, nil
}

// Private tells that only this machine can reach e.
func (e Endpoint) Private() bool {
	host, _, _ := net.SplitHostPort(e.Address)
	ip := net.ParseIP(host)
	return e.Network == "unix" || host == "localhost" || ip != nil && ip.IsLoopback()
}

// Listen opens e. strange lets web pages of other hosts in through WebSockets.
func (e Endpoint) Listen(config *tls.Config, strange bool) (net.Listener, error) {
	if e.Network == "unix" {
		removeStale(e.Address)
	}
	l, err := net.Listen(e.Network, e.Address)
	if err != nil {
		return nil, err
	}
	if e.Network == "unix" {
		if err := os.Chmod(e.Address, 0o660); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	if e.TLS {
		l = tls.NewListener(l, config)
	}
	if e.WebSocket {
		l = listenWebSocket(l, strange)
	}
	return l, nil
}

// removeStale removes the socket of an agent that is gone.
func removeStale(path string) {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return // somebody listens: Listen will say so
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path) // if that fails, Listen tells
	}
}
