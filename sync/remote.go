package fleetsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/skerry-edge/skerry/agent"
)

const (
	maxManifest   = 4 << 20 // bytes
	manifestTries = 3       // answers that broke off
)

// remoteStore is a repository in a registry.
type remoteStore struct {
	ref  reference
	repo *remote.Repository
	idle time.Duration
}

func newRemote(ref reference, opts RegistryOptions, sent func(int64)) (*remoteStore, error) {
	client, err := newClient(opts, sent)
	if err != nil {
		return nil, fmt.Errorf("read the docker configuration for %s: %w", ref, err)
	}
	return &remoteStore{ref: ref, idle: opts.Idle, repo: &remote.Repository{
		Client: client, Reference: ref.remote, SkipReferrersGC: true, // most registries delete nothing
		PlainHTTP: opts.PlainHTTP || opts.TLS == nil && loopback(ref.remote.Registry),
	}}, nil
}

// manifest is one conditional GET, so that an idle round costs one answer
// without a body.
func (s *remoteStore) manifest(ctx context.Context, etag string) (manifest, error) {
	for try := 1; ; try++ {
		m, err := s.getManifest(ctx, etag)
		if err == nil || !errors.Is(err, io.ErrUnexpectedEOF) || try == manifestTries {
			return m, err
		}
	}
}

func (s *remoteStore) getManifest(ctx context.Context, etag string) (manifest, error) {
	header := http.Header{"Accept": {ocispec.MediaTypeImageManifest}}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	resp, err := s.get(ctx, "manifests/"+s.ref.tag, header)
	if err != nil {
		return manifest{}, fmt.Errorf("ask %s: %w", s.ref, err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return manifest{}, errUnchanged
	case http.StatusNotFound:
		return manifest{}, fmt.Errorf("%s: %w", s.ref, ErrNothingPublished)
	default:
		return manifest{}, fmt.Errorf("ask %s: %w", s.ref, refused(resp))
	}
	data, err := readBounded(resp.Body, maxManifest)
	if err != nil {
		return manifest{}, fmt.Errorf("read the manifest of %s: %w", s.ref, err)
	}
	m := manifest{digest: agent.Digest(digest.FromBytes(data)), etag: resp.Header.Get("ETag"), data: data}
	if want := resp.Header.Get("Docker-Content-Digest"); digestForm.MatchString(want) && want != string(m.digest) {
		return manifest{}, damaged("the manifest of "+s.ref.String(), agent.Digest(want), m.digest)
	}
	return m, nil
}

// get asks for a path of the repository; the answer may have any status. A
// silent connection is given up when it was idle for too long.
func (s *remoteStore) get(ctx context.Context, path string, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(auth.AppendRepositoryScope(ctx, s.ref.remote, auth.ActionPull))
	scheme := "https://"
	if s.repo.PlainHTTP {
		scheme = "http://"
	}
	url := scheme + s.ref.remote.Host() + "/v2/" + s.ref.remote.Repository + "/" + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	req.Header = header
	resp, err := s.repo.Client.Do(req)
	if err != nil {
		cancel(nil)
		return nil, s.advise(err)
	}
	resp.Body = newIdleBody(resp.Body, s.idle, cancel)
	return resp, nil
}

// open asks for the rest of a blob. A server that ignores Range, or cannot do it,
// sends all of it, and the beginning is dropped.
func (s *remoteStore) open(ctx context.Context, d ocispec.Descriptor, offset int64) (io.ReadCloser, error) {
	path := "blobs/" + d.Digest.String()
	header := http.Header{"Accept-Encoding": {"identity"}} // offsets count the bytes themselves
	if offset > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, d.Size-1))
	}
	resp, err := s.get(ctx, path, header)
	if err == nil && offset > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		resp.Body.Close()
		header.Del("Range")
		resp, err = s.get(ctx, path, header)
	}
	if err != nil {
		return nil, err
	}
	if err := s.position(resp, d, offset); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// position makes sure that the body goes on at offset, of a blob of the right size.
func (s *remoteStore) position(resp *http.Response, d ocispec.Descriptor, offset int64) error {
	size, skip := resp.ContentLength, offset
	switch resp.StatusCode {
	case http.StatusPartialContent:
		got, total, _ := strings.Cut(resp.Header.Get("Content-Range"), "/")
		if !strings.HasPrefix(got, "bytes "+strconv.FormatInt(offset, 10)+"-") {
			return permanent(fmt.Errorf("registry sent %.80q, asked from byte %d", got, offset))
		}
		skip, size = 0, -1
		if n, err := strconv.ParseInt(total, 10, 64); err == nil {
			size = n
		}
	case http.StatusOK:
	case http.StatusNotFound:
		return permanent(fmt.Errorf("%s in %s: %w", d.Digest, s.ref, errAbsent))
	default:
		return refused(resp)
	}
	if size >= 0 && size != d.Size {
		return permanent(fmt.Errorf("%s: registry has %d bytes, the document says %d: %w", d.Digest, size, d.Size, ErrDamaged))
	}
	_, err := io.CopyN(io.Discard, resp.Body, skip)
	return err
}

// refused says what an unexpected status means for a person.
func refused(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden: // some answer 403 for what is not there
		return permanent(fmt.Errorf("registry answered %s: "+loginAdvice, resp.Status, resp.Request.URL.Host))
	}
	err := fmt.Errorf("registry answered %s", resp.Status)
	if pause := retryAfter(resp); pause > 0 {
		return permanent(&busyError{fmt.Errorf("%w: it wants no request for %s", err, agent.DurationText(pause)), pause})
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("%w: it asks for fewer requests", err)
	}
	return err
}

func (s *remoteStore) has(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	there, err := s.repo.Blobs().Exists(ctx, d)
	return there, s.advise(err)
}

func (s *remoteStore) push(ctx context.Context, d ocispec.Descriptor, data []byte) error {
	return s.advise(s.repo.Blobs().Push(ctx, d, bytes.NewReader(data)))
}

func (s *remoteStore) resolve(ctx context.Context, tag string) (agent.Digest, error) {
	d, err := s.repo.Manifests().Resolve(ctx, tag)
	if errors.Is(err, errdef.ErrNotFound) {
		return "", nil
	}
	return agent.Digest(d.Digest), s.advise(err)
}

func (s *remoteStore) tagManifest(ctx context.Context, d ocispec.Descriptor, data []byte, tag string, was agent.Digest) error {
	now, err := s.resolve(ctx, tag)
	if err != nil {
		return err
	}
	if now != was {
		return ErrMoved
	}
	return s.advise(s.repo.Manifests().PushReference(ctx, d, bytes.NewReader(data), tag))
}
