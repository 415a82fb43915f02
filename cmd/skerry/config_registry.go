package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	fleetsync "github.com/skerry-edge/skerry/sync"
	"github.com/skerry-edge/skerry/sync/trust"
)

// RegistryConfig is where apps and fleet documents come from, and whose keys they
// must be signed with.
type RegistryConfig struct {
	Ref  string `key:"ref"`  // oci://host/repo:tag or oci-layout:/path:tag; "" for none
	Root string `key:"root"` // the fleet's first root of keys, JSON; from RootFile if that is set

	RootFile        string        `key:"root_file"`
	CAFile          string        `key:"ca_file"`          // PEM: trusted instead of the system's roots
	CredentialsFile string        `key:"credentials_file"` // a docker config.json; "" for the user's
	Poll            time.Duration `key:"poll"`
	PlainHTTP       bool          `key:"plain_http"`
}

const (
	registryScheme = "oci://"
	layoutScheme   = "oci-layout:"
	maxRoot        = 64 << 10 // bytes
)

func (c *Config) checkRegistry(p *problems) {
	r, before := &c.Registry, len(*p)
	_, host, _ := strings.Cut(r.Ref, "://")
	host, _, _ = strings.Cut(host, "/")
	if strings.Contains(host, "@") { // it is not repeated
		p.add("registry.ref", "holds a user name: logs show it, so docker login instead, or name a docker config.json in registry.credentials_file")
	} else if r.Ref != "" {
		rest, remote := strings.CutPrefix(r.Ref, registryScheme)
		local := strings.HasPrefix(r.Ref, layoutScheme) && len(r.Ref) > len(layoutScheme)
		if !local && (!remote || !strings.Contains(rest, "/")) {
			p.add("registry.ref", "is oci://host/repository:tag or oci-layout:/path, not %q", r.Ref)
		}
	}
	if r.Root+r.RootFile != "" {
		r.checkRoot(p)
	} else if r.Ref != "" && len(*p) == before {
		p.add("registry.root", "is missing, and nothing unsigned is taken: skerry fleet init makes a fleet and writes the root of its keys into a skerry.yaml; copy it from there")
	}
	if r.Poll < time.Second {
		p.add("registry.poll", "is at least 1s, not %s", r.Poll)
	}
	p.checkFile("registry.ca_file", r.CAFile)
	p.checkFile("registry.credentials_file", r.CredentialsFile)
}

// checkRoot tells a root that cannot be trusted by now, rather than at the first round.
func (r *RegistryConfig) checkRoot(p *problems) {
	key := "registry.root"
	switch {
	case r.Root != "" && r.RootFile != "":
		p.add(key, "is set and root_file too: keep one")
		return
	case r.RootFile != "":
		key = "registry.root_file"
		before := len(*p)
		if p.checkFile(key, r.RootFile); len(*p) > before {
			return
		}
	}
	root, err := r.root()
	if err == nil {
		_, err = trust.Fingerprint(root)
	}
	if err != nil {
		p.add(key, "is not the first root of a fleet's keys, as skerry fleet init writes it: %v", err)
	}
}

// root is the fleet's first root of keys.
func (r *RegistryConfig) root() ([]byte, error) {
	if r.RootFile == "" {
		return []byte(r.Root), nil
	}
	info, err := os.Stat(r.RootFile)
	if err == nil && info.Size() > maxRoot {
		err = fmt.Errorf("%s has %d bytes, at most %d are read", r.RootFile, info.Size(), maxRoot)
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(r.RootFile)
}

// open makes the client of the registry; now is what certificates are judged by.
func (r *RegistryConfig) open(retries int, now func() time.Time) (*fleetsync.Registry, error) {
	ca, err := trusting("registry.ca_file", r.CAFile)
	if err != nil {
		return nil, err
	}
	return fleetsync.NewRegistry(r.Ref, fleetsync.RegistryOptions{
		PlainHTTP: r.PlainHTTP, Credentials: r.CredentialsFile, Retries: retries, Now: now, TLS: ca,
	})
}
