package fleetsync_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// A gateway without a clock knows a time that is over, and reaches a registry whose
// certificate is newer than that. One that has ended is refused, and so is one of
// another authority, whatever the time.
func TestCertificatesAreJudgedByTheTimeThatIsKnown(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	reg := testbed.StartRegistry(t, testbed.RegistryOptions{CertFile: files.ServerCert, KeyFile: files.ServerKey})
	b := newBench(t, "oci://"+reg.Addr()+"/acme/fleet")
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	trusts := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	trusts.RootCAs.AppendCertsFromPEM(pem)
	other := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	b.tls = trusts
	b.publish(b.app("overheat", "1.0.0", 1, 5000), "")
	for _, tt := range []struct {
		now  time.Time
		tls  *tls.Config
		want string
	}{
		{time.Now(), trusts, ""},
		{time.Unix(0, 0), trusts, ""},
		{time.Date(2035, 1, 1, 0, 0, 0, 0, time.UTC), trusts, "certificate has expired or is not yet valid"},
		{time.Now(), other, "certificate signed by unknown authority"},
		{time.Unix(0, 0), other, "certificate signed by unknown authority"},
	} {
		r, err := fleetsync.NewRegistry(b.ref, fleetsync.RegistryOptions{TLS: tt.tls, Retries: -1, Now: func() time.Time { return tt.now }})
		if err != nil {
			t.Fatal(err)
		}
		b.cache, b.run = newMemory(), &runner{}
		err = fleetsync.NewPuller(r, b.cache, b.run, device(), fleetsync.PullerOptions{Root: b.root()}).Check(t.Context())
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("at %s: %v", tt.now, err)
		case tt.want != "":
			wantErr(t, errors.New(strings.ReplaceAll(err.Error(), "x509: ", "")), tt.want)
		}
	}
}
