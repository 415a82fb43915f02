package fleetsync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"time"
)

// youngCertificates are how many certificates of a chain may have begun after the
// time that a device knows.
const youngCertificates = 3

// tlsDialer makes connections of a device whose clock may be far behind. It knows a
// time that true time is not before; so a certificate that begins later was made
// since, and is judged by when it begins. All else is checked as always: who signed
// it, for which host, and that it has not ended by the time that is known.
type tlsDialer struct {
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	config *tls.Config // nil for the system's authorities
	now    func() time.Time
}

func (d *tlsDialer) connect(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	now := d.now()
	for try := 0; ; try++ {
		conn, err := d.handshake(ctx, network, addr, now)
		var young x509.CertificateInvalidError
		if !errors.As(err, &young) || young.Reason != x509.Expired || !young.Cert.NotBefore.After(now) || try == youngCertificates {
			return conn, err
		}
		now = young.Cert.NotBefore
	}
}

func (d *tlsDialer) handshake(ctx context.Context, network, addr string, now time.Time) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.config != nil {
		config = d.config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	config.Time = func() time.Time { return now }
	raw, err := d.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}
