package uplink

import (
	"errors"
	"net"
	"testing"
)

// A proxy that is not there says nothing of a record, as a far side that is not.
func TestProxyIsAway(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for err, want := range map[error]bool{
		dial: true,
		&net.OpError{Op: "proxyconnect", Net: "tcp", Err: dial}:        true,
		&net.OpError{Op: "read", Net: "tcp", Err: errors.New("reset")}: false,
	} {
		if got := transportError(err).Away; got != want {
			t.Errorf("%v: away is %v", err, got)
		}
	}
}
