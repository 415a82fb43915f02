package testbed

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// RegistryOptions may be left zero.
type RegistryOptions struct {
	Port     int    // 0 for a free one
	Dir      string // of its storage; "" for one that the test removes
	CertFile string // with KeyFile: serve TLS
	KeyFile  string
	Htpasswd string       // file with users; "" for anonymous access
	Tokens   *TokenServer // that users get tokens from; nil for none
	NoDelete bool         // refuse to delete anything, as registries do unless they are told otherwise
}

// Registry is a docker-registry on 127.0.0.1.
type Registry struct {
	Port int
	Dir  string

	t      testing.TB
	config string
	opts   RegistryOptions
	proc   *Proc
}

// StartRegistry starts Debian's docker-registry with a configuration of its
// own: the one that comes with the package listens on all interfaces.
func StartRegistry(t testing.TB, opts RegistryOptions) *Registry {
	t.Helper()
	r := &Registry{Port: opts.Port, Dir: opts.Dir, t: t, opts: opts}
	if r.Port == 0 {
		r.Port = FreePort(t)
	}
	if r.Dir == "" {
		r.Dir = t.TempDir()
	}
	r.config = filepath.Join(t.TempDir(), "registry.yml")
	if err := os.WriteFile(r.config, []byte(r.yaml()), 0o600); err != nil {
		t.Fatalf("write registry configuration: %v", err)
	}
	r.Restart()
	return r
}

// Addr is "127.0.0.1:port".
func (r *Registry) Addr() string { return Addr(r.Port) }

// Stop ends the registry; what it stores stays.
func (r *Registry) Stop() { r.proc.Stop() }

// Restart starts the registry again, on the same port with the same storage.
func (r *Registry) Restart() {
	r.t.Helper()
	if r.proc != nil {
		r.proc.Stop()
	}
	r.proc = Start(r.t, "apt-get install -y --no-install-recommends docker-registry", r.ready, "docker-registry", "serve", r.config)
}

func (r *Registry) ready() error {
	if r.opts.CertFile != "" {
		return Listening(r.Addr())()
	}
	resp, err := http.Get("http://" + r.Addr() + "/v2/")
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func (r *Registry) yaml() string {
	text := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}, delete: {enabled: %t}}
http:
  addr: %q
`, r.Dir, !r.opts.NoDelete, r.Addr())
	if r.opts.CertFile != "" {
		text += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", r.opts.CertFile, r.opts.KeyFile)
	}
	if r.opts.Htpasswd != "" {
		text += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", r.opts.Htpasswd)
	}
	if s := r.opts.Tokens; s != nil {
		text += fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, rootcertbundle: %q}}\n", s.URL+"/token", s.Service, s.Issuer, s.CertFile)
	}
	return text
}
