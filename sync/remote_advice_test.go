package fleetsync

import (
	"crypto/x509"
	"errors"
	"net"
	"strings"
	"testing"

	"oras.land/oras-go/v2/registry/remote/auth"
)

func TestAdviceNamesTheNextStep(t *testing.T) {
	ref, err := parseReference("oci://registry.example/acme/fleet")
	if err != nil {
		t.Fatal(err)
	}
	s := &remoteStore{ref: ref}
	for _, tc := range []struct {
		err  error
		want string
	}{
		{x509.UnknownAuthorityError{}, "--ca-file"},
		{auth.ErrBasicCredentialNotFound, "docker login registry.example"},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, "check the reference, the network, and that the registry runs"},
	} {
		if got := s.advise(tc.err); !errors.Is(got, tc.err) || !strings.Contains(got.Error(), tc.want) {
			t.Errorf("%v: want %q", got, tc.want)
		}
	}
	if other := errors.New("other"); s.advise(other) != other {
		t.Error("an error was changed that there is no advice for")
	}
}
