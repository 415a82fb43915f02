package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"os"
)

// tlsFiles name PEM files; all may be empty.
type tlsFiles struct {
	ca   string // trusted instead of the system's roots
	cert string // the client's own
	key  string
}

// config makes a configuration. A client certificate is read again when its
// files change, and used from the next connection on; note says what is wrong
// with them then.
func (t tlsFiles) config() (conf *tls.Config, note func() string, err error) {
	conf, note = &tls.Config{MinVersion: tls.VersionTLS12}, func() string { return "" }
	if t.ca != "" {
		pem, err := os.ReadFile(t.ca)
		if err != nil {
			return nil, nil, mistake("ca_file", "cannot be read: %v", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, nil, mistake("ca_file", "%s holds no PEM certificate", t.ca)
		}
	}
	switch {
	case (t.cert == "") != (t.key == ""):
		return nil, nil, mistake("cert_file", "and key_file belong together; give both or neither")
	case t.cert == "":
		return conf, note, nil
	}
	pair, err := newFresh(func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.cert, t.key)
		return &pair, err
	}, t.cert, t.key)
	if err != nil {
		return nil, nil, mistake("cert_file", "and key_file cannot be used: %v", err)
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	return conf, func() string { return noteOf("cert_file", pair) }, nil
}
