package fleetsim

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// server reads an OCI image layout to those who ask as they would ask a registry:
// manifests by tag with an ETag, blobs with ranges.
type server struct {
	dir  string
	http *http.Server
	door *door
}

func newServer(dir string) *server {
	s := &server{dir: dir, door: &door{ring: make(chan net.Conn), closed: make(chan struct{})}}
	s.http = &http.Server{Handler: s, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	go func() { _ = s.http.Serve(s.door) }() // ends with close
	return s
}

func (s *server) close() { _ = s.http.Close() }

// connect gives the near end of a connection.
func (s *server) connect() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.door.ring <- far:
		return near, nil
	case <-s.door.closed:
		return nil, net.ErrClosed
	}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, digest, ok := strings.Cut(r.URL.Path, "/blobs/"); ok {
		s.blob(w, r, digest)
		return
	}
	_, tag, ok := strings.Cut(r.URL.Path, "/manifests/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	digest, err := s.resolve(tag)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("ETag", `"`+digest+`"`)
	s.blob(w, r, digest)
}

// resolve finds a tag in the layout's index.
func (s *server) resolve(tag string) (string, error) {
	if strings.HasPrefix(tag, "sha256:") {
		return tag, nil
	}
	data, err := os.ReadFile(filepath.Join(s.dir, ocispec.ImageIndexFile))
	if err != nil {
		return "", err
	}
	var index ocispec.Index
	if err := json.Unmarshal(data, &index); err != nil {
		return "", err
	}
	for _, d := range index.Manifests {
		if d.Annotations[ocispec.AnnotationRefName] == tag {
			return d.Digest.String(), nil
		}
	}
	return "", errors.New("no such tag")
}

// blob sends a file of the layout; http.ServeFile knows ranges and ETags.
func (s *server) blob(w http.ResponseWriter, r *http.Request, digest string) {
	encoded, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || strings.ContainsAny(encoded, "/.") {
		http.NotFound(w, r)
		return
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	http.ServeFile(w, r, filepath.Join(s.dir, ocispec.ImageBlobsDir, "sha256", encoded))
}

// door is a listener without an address.
type door struct {
	ring   chan net.Conn
	closed chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	select {
	case c := <-d.ring:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close is called once, by http.Server.
func (d *door) Close() error {
	close(d.closed)
	return nil
}

func (d *door) Addr() net.Addr { return &net.UnixAddr{Name: "simulation", Net: "unix"} }
