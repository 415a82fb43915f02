package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// madeRoot is the root of a fleet that was made and is gone.
var madeRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "skerry-root-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	made, err := fleetsync.InitFleet(context.Background(), fleetsync.InitOptions{
		Access: fleetsync.Access{Ref: "oci-layout:" + filepath.Join(dir, "fleet"), Keys: filepath.Join(dir, "keys")},
	})
	return string(made.Root), err
})

// fleetRoot is a root that a configuration may name.
func fleetRoot(t *testing.T) string {
	t.Helper()
	root, err := madeRoot()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestMistakesAboutTheRegistryAreTold(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"registry: {ref: 'oci://h/r'}", "registry.root: is missing, and nothing unsigned is taken: skerry fleet init makes a fleet"},
		{"registry: {ref: 'oci://h/r', root: x, root_file: root.json}", "registry.root: is set and root_file too: keep one"},
		{"registry: {ref: 'oci://h/r', root: x}", "registry.root: is not the first root of a fleet's keys, as skerry fleet init writes it: "},
		{"registry: {ref: 'oci://h/r', root: {signed: {}}}", "registry.root: is text: put it in quotes, or on lines of its own behind a |"},
		{"registry: {ref: 'oci://h/r', root_file: pw}", "registry.root_file: is not the first root of a fleet's keys"},
		{"registry: {ref: 'oci://h/r', root_file: none}", "registry.root_file: cannot be read: stat "},
		{"registry: {ref: 'oci://h/r', root_file: root.json, ca_file: none}", "registry.ca_file: cannot be read: stat "},
		{"registry: {ref: 'oci://h/r', root_file: root.json, credentials_file: none}", "registry.credentials_file: cannot be read: stat "},
		{"registry: {ref: 'oci://h/r', rootfile: root.json}", `registry.rootfile: there is no such key; did you mean "root_file"?`},
		{"policy: {apps: ['[']}", `policy.apps[0]: is a name, or a pattern such as plant-*, not "["`},
		{"policy: {publish: ['a/#/b']}", `policy.publish[0]: topic filter "a/#/b": # must be the last level`},
		{"policy: {http: ['ftp://h']}", "policy.http[0]: http permission"},
		{"policy: {invoke: [alerts]}", `policy.invoke[0]: is central/<target>, or central/* for all of them, not "alerts"`},
		{"policy: {memory: much}", "policy.memory: is a size"},
		{"policy: {permissions: x}", "policy.permissions: there is no such key; there are apps, publish, http, invoke, secrets, memory, timeout"},
	} {
		_, err := LoadConfig(writeConfig(t, tt.yaml))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
		}
	}
}

// An empty list allows nothing; one that is not there allows all.
func TestPolicyIsConfigured(t *testing.T) {
	c, err := LoadConfig(writeConfig(t, "registry: {ref: 'oci://h/r', root_file: root.json}\n"+
		"policy: {apps: ['plant-*'], publish: [], invoke: [central/*], memory: 64MiB, timeout: 5s, rollback: true}"))
	if err != nil {
		t.Fatal(err)
	}
	p := c.device().Policy
	if len(p.Apps) != 1 || p.Publish == nil || len(p.Publish) != 0 || p.HTTP != nil || p.Memory != 64<<20 || !p.Rollback {
		t.Errorf("%#v", p)
	}
}

// A registry of one's own has a certificate that no system knows.
func TestRegistryWithAnAuthorityOfItsOwn(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	registry := testbed.StartRegistry(t, testbed.RegistryOptions{CertFile: files.ServerCert, KeyFile: files.ServerKey})
	pem, err := os.ReadFile(files.CA)
	if err != nil {
		t.Fatal(err)
	}
	trusts := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	trusts.RootCAs.AppendCertsFromPEM(pem)
	access := fleetsync.Access{Ref: "oci://" + registry.Addr() + "/acme/fleet", Keys: filepath.Join(t.TempDir(), "keys"), TLS: trusts}
	made, err := fleetsync.InitFleet(t.Context(), fleetsync.InitOptions{Access: access})
	if err != nil {
		t.Fatal(err)
	}
	app := filepath.Join("..", "..", "examples", "rollup", "app.yaml")
	if _, err := fleetsync.Publish(t.Context(), fleetsync.PublishOptions{Access: access, AppFile: app, Checks: publishChecks()}); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Registry: RegistryConfig{Ref: access.Ref, Root: string(made.Root), CAFile: files.CA}, Brokers: []BrokerConfig{{Name: "plant"}}}
	found, functions := checkRegistry(t.Context(), &cfg)
	if len(functions) != 1 || len(found) != 2 || found[1].Check != "signed" || found[1].State != fine {
		t.Errorf("%+v", found)
	}
	cfg.Registry.CAFile = filepath.Join("testdata", "config", "ca.pem")
	if found, _ := checkRegistry(t.Context(), &cfg); len(found) != 1 || !strings.Contains(found[0].Text, "certificate signed by unknown authority") {
		t.Errorf("%+v", found)
	}
}
