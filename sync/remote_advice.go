package fleetsync

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const loginAdvice = "check the reference, and log in with docker login %s, or give the agent a docker config.json"

// advise goes on after an error that a person can mend: who may do what, and whom
// to trust. Others stay as they are.
func (s *remoteStore) advise(err error) error {
	var answer *errcode.ErrorResponse
	var dialled *net.OpError
	host := s.ref.remote.Host()
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Errorf("%w: if the registry is yours, name the file of the authority that signed for %s in registry.ca_file, or with --ca-file", err, host)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%w: "+loginAdvice, err, host)
	case errors.As(err, &dialled) && dialled.Op == "dial":
		return fmt.Errorf("%w: check the reference, the network, and that the registry runs", err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return fmt.Errorf("%w: "+loginAdvice, err, host)
	}
	return err
}
