package fleetsync

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"

	"oras.land/oras-go/v2/registry"
)

const defaultTag = "latest"

var tagForm = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// reference is where a fleet artefact lives: in a registry, or in a directory.
type reference struct {
	remote registry.Reference // if dir is ""
	dir    string             // of an OCI image layout
	tag    string
}

// parseReference reads "oci://host/repo[:tag]" or "oci-layout:/path[:tag]".
func parseReference(s string) (reference, error) {
	if _, rest, ok := strings.Cut(s, "://"); ok {
		if host, _, _ := strings.Cut(rest, "/"); strings.Contains(host, "@") { // it is not repeated: it holds a password
			return reference{}, errors.New("registry: the reference holds a user name: write oci://host/repository:tag, and docker login host, or give the agent a docker config.json")
		}
	}
	if rest, ok := strings.CutPrefix(s, "oci-layout:"); ok {
		return parseLayout(s, rest)
	}
	rest, ok := strings.CutPrefix(s, "oci://")
	if !ok {
		return reference{}, fmt.Errorf("registry %.200q: write oci://host/repository:tag, or oci-layout:/directory:tag", s)
	}
	r, err := registry.ParseReference(rest)
	if err != nil {
		return reference{}, fmt.Errorf("registry %.200q: %w; write oci://host/repository:tag", s, err)
	}
	if strings.Contains(r.Reference, ":") {
		return reference{}, fmt.Errorf("registry %.200q: name a tag, not a digest: updates arrive by moving the tag", s)
	}
	if r.Reference == "" {
		r.Reference = defaultTag
	}
	return reference{remote: r, tag: r.Reference}, nil
}

func parseLayout(s, rest string) (reference, error) {
	rest = strings.TrimPrefix(rest, "//")
	dir, tag := rest, defaultTag
	if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
		dir, tag = rest[:i], rest[i+1:]
	}
	if dir == "" || !tagForm.MatchString(tag) {
		return reference{}, fmt.Errorf("registry %.200q: write oci-layout:/directory:tag", s)
	}
	return reference{dir: filepath.Clean(dir), tag: tag}, nil
}

// String is the reference in full, with its tag.
func (r reference) String() string {
	if r.dir != "" {
		return "oci-layout:" + r.dir + ":" + r.tag
	}
	return "oci://" + r.remote.Registry + "/" + r.remote.Repository + ":" + r.tag
}

// SameRef tells whether two references name the same place.
func SameRef(a, b string) bool {
	one, err := parseReference(a)
	other, err2 := parseReference(b)
	return err == nil && err2 == nil && one.String() == other.String()
}

// RefName is the name that a fleet has at a reference unless it is given another.
func RefName(ref string) (string, error) {
	r, err := parseReference(ref)
	if err != nil {
		return "", err
	}
	return r.name(), nil
}

// module is what an app document says for people about where a module lies.
func (r reference) module(tag string) string {
	if r.dir != "" {
		return r.dir + ":" + tag
	}
	return r.remote.Registry + "/" + r.remote.Repository + ":" + tag
}

// name is the last part of the repository, as the name of a new fleet.
func (r reference) name() string {
	base := filepath.Base(r.remote.Repository)
	if r.dir != "" {
		base = filepath.Base(r.dir)
	}
	base = strings.Trim(regexp.MustCompile(`[^a-z0-9-]+`).ReplaceAllString(strings.ToLower(base), "-"), "-")
	if !nameForm.MatchString(base) {
		return "fleet"
	}
	return base
}

// loopback tells whether a registry is on this machine, so that plain HTTP
// shows its bytes to nobody.
func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
