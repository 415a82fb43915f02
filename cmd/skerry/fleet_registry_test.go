package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

// guardedSize is the padding of the app that is published.
const guardedSize = 500_000

// Users of the registries; the gateway may only read where there are tokens.
const (
	gatewayUser   = "gateway:gw-secret"
	publisherUser = "publisher:pub-secret"
	htpasswd      = "gateway:$2y$04$bkU3iXPDiMvFFtQD4432YuIFKiceij7/n1AAgkkn8T/fT/F54c.7y\n" +
		"publisher:$2y$05$tucidICM32LuPri8yiO59OCWIkUhx5bUzcOKFCblhXAsAAF5r.jxC\n"
)

// guarded is a docker-registry that is reached in one of the ways that registries are,
// and a fleet that is begun, published and looked after there by the commands alone.
type guarded struct {
	*rig
	ca    string // of the registry; "" is no TLS
	users bool
	link  *testbed.Proxy
	addr  string // of the registry itself
	ref   string
}

// newGuarded begins the fleet, and makes its gateway of the configuration that
// skerry fleet init writes.
func newGuarded(t *testing.T, opts testbed.RegistryOptions, ca string) *guarded {
	t.Helper()
	registry := testbed.StartRegistry(t, opts)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	g := &guarded{rig: newRig(t, ""), ca: ca, users: opts.Htpasswd != "" || opts.Tokens != nil}
	g.link = testbed.StartProxy(t, registry.Addr())
	g.addr = registry.Addr()
	g.ref = "oci://" + g.addr + "/acme/fleet:latest"
	g.login("docker/config.json", publisherUser, g.addr)
	g.login("gateway.json", gatewayUser, testbed.Addr(g.link.Port))
	g.skerry("is begun at", "fleet", "init", g.ref, "--device-config", g.path("made.yaml"))
	made, err := os.ReadFile(g.path("made.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("data: %s\nadmin: {socket: %s}\nbrokers: [{name: plant, url: '%s'}]\ntargets: [{name: central, kind: cloudevents, url: '%s'}]\n%s",
		g.path("data"), g.socket, broker.URL, newCentral(t).URL, made)
	reach := "ref: oci://" + testbed.Addr(g.link.Port) + "/acme/fleet:latest\n  poll: 1s\n  credentials_file: " + g.path("gateway.json")
	changes := map[string]string{"ref: " + g.ref: reach, "id: gateway-1": "id: gw7"}
	if ca != "" {
		changes["/etc/skerry/registry-ca.pem"] = ca
	}
	for old, text := range changes {
		if strings.Count(config, old) != 1 {
			t.Fatalf("the configuration for devices has %q not once:\n%s", old, made)
		}
		config = strings.Replace(config, old, text, 1)
	}
	g.write("skerry.yaml", config)
	return g
}

// login writes a docker configuration.
func (g *guarded) login(file, user string, addr string) {
	g.t.Helper()
	config := "{}"
	if g.users {
		config = fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, addr, base64.StdEncoding.EncodeToString([]byte(user)))
	}
	g.write(file, config)
}

// try runs a command as a person does.
func (g *guarded) try(words ...string) (out string, err error) {
	g.t.Helper()
	if g.ca != "" {
		words = append(words, "--ca-file", g.ca)
	}
	cmd := exec.Command(os.Args[0], words...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+g.path("home"), "DOCKER_CONFIG="+g.path("docker"))
	data, err := cmd.CombinedOutput()
	return string(data), err
}

// skerry runs a command that must work, and say something.
func (g *guarded) skerry(want string, words ...string) string {
	g.t.Helper()
	out, err := g.try(words...)
	if err != nil || !strings.Contains(out, want) {
		g.t.Fatalf("skerry %s: %v, want %q in:\n%s", strings.Join(words, " "), err, want, out)
	}
	return out
}

// fails runs a command that must end with one sentence.
func (g *guarded) fails(want []string, words ...string) {
	g.t.Helper()
	out, err := g.try(words...)
	missing := slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(out, part) })
	if lines := strings.Count(strings.TrimSpace(out), "\n"); err == nil || missing || lines > 0 {
		g.t.Errorf("skerry %s: %v, want one sentence with %q:\n%s", strings.Join(words, " "), err, want, out)
	}
}

// release publishes a version of the marked app.
func (g *guarded) release(v int) {
	g.t.Helper()
	g.write("ledger.wasm", string(marked(g.t, v, "out/", guardedSize)))
	g.write("twin.wasm", string(marked(g.t, v, "twn/", 0)))
	g.write("app.yaml", fmt.Sprintf(markedApp, v))
	g.skerry("published "+versionName(v), "publish", g.path("app.yaml"), "--yes")
}

// gets is how many bytes come over the gateway's link until it runs a version.
func (g *guarded) gets(v int, from int64) int64 {
	g.t.Helper()
	g.runs(versionName(v))
	return g.link.Stats().Down - from
}

// look waits until the gateway has seen a revision.
func (g *guarded) look(revision int64) {
	g.t.Helper()
	g.eventually(fmt.Sprintf("revision %d is seen", revision), func(s agent.Status) bool { return s.Sync.Revision == revision && s.Sync.Error == "" })
}

// again starts the agent once more with another text in its configuration; what runs
// must run on, and why it gets nothing new must be told in one line.
func (g *guarded) again(old, text, runs string, told ...string) {
	g.t.Helper()
	g.proc.Stop()
	config, err := os.ReadFile(g.path("skerry.yaml"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.write("skerry.yaml", strings.Replace(string(config), old, text, 1))
	g.start()
	g.runs(runs)
	g.eventually(fmt.Sprintf("%q is told", told), func(s agent.Status) bool {
		return !slices.ContainsFunc(told, func(part string) bool { return !strings.Contains(s.Sync.Error, part) })
	})
	g.runs(runs)
	g.t.Logf("told: %s", g.status().Sync.Error)
}

// TestFleetOnGuardedRegistries goes through the life of a fleet on Debian's
// docker-registry, with TLS from an own authority, with passwords and with tokens.
func TestFleetOnGuardedRegistries(t *testing.T) {
	t.Parallel()
	files := testbed.NewTLSFiles(t)
	passwords := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(passwords, []byte(htpasswd), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("TLS", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, testbed.RegistryOptions{CertFile: files.ServerCert, KeyFile: files.ServerKey}, files.CA)
		g.life()
		g.looks()
		other := testbed.NewTLSFiles(t)
		g.again(files.CA, other.CA, versionName(2), "unknown authority", "registry.ca_file")
		g.ca = other.CA
		g.fails([]string{"unknown authority", "--ca-file"}, "fleet", "show")
	})
	t.Run("passwords", func(t *testing.T) {
		t.Parallel()
		g := newGuarded(t, testbed.RegistryOptions{CertFile: files.ServerCert, KeyFile: files.ServerKey, Htpasswd: passwords}, files.CA)
		g.life()
		g.wrongPassword()
	})
	t.Run("tokens", func(t *testing.T) {
		t.Parallel()
		tokens := testbed.StartTokenServer(t, map[string]testbed.TokenUser{
			"gateway": {Password: "gw-secret", Actions: []string{"pull"}}, "publisher": {Password: "pub-secret", Actions: []string{"pull", "push"}},
		})
		g := newGuarded(t, testbed.RegistryOptions{Tokens: tokens}, "")
		g.life()
		g.login("docker/config.json", gatewayUser, g.addr)
		if out, err := g.try("fleet", "pause", "--yes"); err == nil || !strings.Contains(out, "docker login") { // who may only read
			t.Errorf("skerry fleet pause: %v\n%s", err, out)
		}
		g.login("docker/config.json", publisherUser, g.addr)
		g.wrongPassword()
	})
}

// life is: the first install, a patch, an update, back, on again by percent, revoked.
func (g *guarded) life() {
	g.t.Helper()
	g.release(1)
	g.start()
	first := g.gets(1, 0)
	from := g.link.Stats().Down
	g.release(2)
	patch := g.gets(2, from)
	g.t.Logf("first install %d bytes, patch %d", first, patch)
	if first < guardedSize || patch*20 > first {
		g.t.Errorf("a first install took %d bytes and a patch %d", first, patch)
	}
	g.release(3)
	g.runs(versionName(3))
	g.skerry("revision 4", "fleet", "rollback", "ledger", "--yes")
	g.runs(versionName(2))
	g.skerry("revision 5", "fleet", "promote", "ledger", "1.0.3", "--percent", "0.01", "--yes")
	g.look(5)
	g.runs(versionName(2))
	g.skerry("revision 6", "fleet", "promote", "ledger", "1.0.3", "--yes")
	g.runs(versionName(3))
	g.skerry("revision 7", "fleet", "revoke", "ledger", "1.0.3", "--replace", "1.0.2", "--yes")
	g.runs(versionName(2))
	g.fails([]string{"1.0.3"}, "fleet", "promote", "ledger", "1.0.3", "--yes")
	var shown struct{ Apps []string }
	if err := json.Unmarshal([]byte(g.skerry("", "fleet", "show", "-o", "json")), &shown); err != nil || slices.Contains(shown.Apps, versionName(3)) {
		g.t.Errorf("published are %v (%v)", shown.Apps, err)
	}
}

// looks has the commands tell what is published.
func (g *guarded) looks() {
	g.t.Helper()
	g.skerry("1.0.2", "fleet", "show")
	g.skerry("revoke", "fleet", "history")
	g.skerry("", "fleet", "verify")
}

// wrongPassword is told by the gateway and by the commands, and is mended without a
// new start.
func (g *guarded) wrongPassword() {
	g.t.Helper()
	g.login("gateway.json", "gateway:wrong", testbed.Addr(g.link.Port))
	g.again("", "", versionName(2), "401", "docker login")
	g.login("docker/config.json", "publisher:wrong", g.addr)
	g.fails([]string{"401", "docker login"}, "fleet", "show")
	g.login("docker/config.json", publisherUser, g.addr)
	g.login("gateway.json", gatewayUser, testbed.Addr(g.link.Port))
	g.look(7)
	g.runs(versionName(2))
}
