package fleetsync

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-edge/skerry/agent"
)

var (
	// ErrDamaged reports bytes that do not have the digest or the size they
	// were promised with; its message names both. Nothing of them was used.
	ErrDamaged = errors.New("damaged in the registry or on the way")
	// ErrNothingPublished reports a reference that holds no fleet.
	ErrNothingPublished = errors.New("nothing is published there; publish an app with: skerry publish")
	// errUnchanged reports that the manifest is the one the caller knows.
	errUnchanged = errors.New("unchanged")
	// errAbsent reports a blob that is not there.
	errAbsent = errors.New("not in the registry")
)

// RegistryOptions say how to reach a registry. Zero fields have the defaults
// that are given.
type RegistryOptions struct {
	PlainHTTP   bool          // http for a host that is not this machine
	TLS         *tls.Config   // own CA or client certificate; nil for the system's
	Credentials string        // a docker config.json; "" for the one of DOCKER_CONFIG, or the user's
	Retries     int           // of a request that failed; 0 means 6 (about 6 s), negative none
	Idle        time.Duration // a silent connection is given up after it; 0 means 30 s
	// Now is the latest time that is known to have come, by which certificates are
	// judged, see tlsDialer; nil for time.Now.
	Now func() time.Time
	// Dial makes all connections; nil for the usual.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Registry is where a fleet's documents and modules are fetched from.
type Registry struct {
	ref   reference
	store carrier
}

// carrier moves bytes; it trusts nothing and checks nothing but sizes.
type carrier interface {
	// manifest reads what the tag points at; errUnchanged if that has the etag.
	manifest(ctx context.Context, etag string) (manifest, error)
	// open reads a blob from offset on. A read may end early, with an error or
	// without; errAbsent if there is no such blob.
	open(ctx context.Context, d ocispec.Descriptor, offset int64) (io.ReadCloser, error)
}

// manifest is what a tag points at.
type manifest struct {
	digest agent.Digest
	etag   string // what the registry calls it
	data   []byte
}

// NewRegistry takes "oci://host/repository[:tag]" or "oci-layout:/path[:tag]".
// It opens nothing yet.
func NewRegistry(ref string, opts RegistryOptions) (*Registry, error) {
	r, err := parseReference(ref)
	if err != nil {
		return nil, err
	}
	if r.dir != "" {
		return &Registry{ref: r, store: &layout{dir: r.dir, tag: r.tag}}, nil
	}
	opts.Idle = cmp.Or(opts.Idle, 30*time.Second)
	opts.Retries = max(cmp.Or(opts.Retries, 6), 0)
	remote, err := newRemote(r, opts, nil)
	if err != nil {
		return nil, err
	}
	return &Registry{ref: r, store: remote}, nil
}

// String is the reference in full.
func (r *Registry) String() string { return r.ref.String() }
