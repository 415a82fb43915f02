package sensors

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
)

// strangers keeps web pages of other hosts out: a browser lets them post to
// this machine, and sends its client certificate along.
var strangers = http.NewCrossOriginProtection()

// admit tells whether the caller may post at all. Client certificates have been
// checked by the handshake.
func (p *posting) admit(r *http.Request) *refusal {
	if strangers.Check(r) != nil {
		return refuse(http.StatusForbidden, "web pages of other hosts may not post here")
	}
	if !p.hasToken() {
		// A page whose name was made to mean this machine is no other host to its
		// browser, but the browser still sends that name.
		if p.opts.ClientCAFile == "" && p.to.Network == "tcp" && !isLoopback(hostOf(r.Host)) {
			return refuse(http.StatusForbidden, "the host is localhost or 127.0.0.1 here, not %.80q, as long as there is no token", r.Host)
		}
		return nil
	}
	token := p.opts.Token
	if p.opts.TokenFile != "" {
		var err error
		if token, err = readPassword(p.opts.TokenFile); err != nil {
			p.log.Error("request refused: the token cannot be read", "error", err)
			return later(http.StatusServiceUnavailable, 60, "the token cannot be read on this side")
		}
	}
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	want, got := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(strings.TrimSpace(given)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return refuse(http.StatusUnauthorized, `a token is needed: send the header "Authorization: Bearer <token>"`)
	}
	return nil
}

// hostOf is a Host header without its port.
func hostOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

// askForCertificates has clients show a certificate that one in caFile signed.
// The file is read for each connection: who is taken out of it is out.
func askForCertificates(config *tls.Config, caFile string) error {
	if _, err := readPool(caFile); err != nil {
		return err
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.SessionTicketsDisabled = true
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool, err := readPool(caFile)
		if err != nil {
			return nil, err
		}
		own := config.Clone()
		own.ClientCAs = pool
		return own, nil
	}
	return nil
}

func readPool(caFile string) (*x509.CertPool, error) {
	pem, err := readSome(caFile, maxBundle)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no PEM certificate", caFile)
	}
	return pool, nil
}

const maxBundle = 1 << 20 // bytes of a file of CA certificates

// fewConns accepts as many connections at a time as free has room for; others
// wait in the kernel.
type fewConns struct {
	net.Listener
	free chan struct{}
	stop <-chan struct{}
}

func (l *fewConns) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.stop:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &oneConn{Conn: c, left: sync.OnceFunc(func() { <-l.free })}, nil
}

type oneConn struct {
	net.Conn
	left func()
}

func (c *oneConn) Close() error {
	defer c.left()
	return c.Conn.Close()
}
