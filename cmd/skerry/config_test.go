package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

func TestLoadConfigReadsEveryKey(t *testing.T) {
	t.Setenv("SKERRY_TEST_SITE_KEY", "x")
	t.Setenv(pageEnv, "")
	c, err := LoadConfig("testdata/config/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := fullConfig(c.Warnings)
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// fullConfig is what testdata/config/full.yaml says.
func fullConfig(warnings []string) Config {
	password := "testdata/config/password"
	return Config{
		Device: DeviceConfig{ID: "gw7", Labels: []string{"site=west", "hw=pi5"}, ClaimFile: "testdata/config/claim"},
		Data:   "testdata/config/data",
		Clock:  ClockConfig{Wait: defaultClockWait},
		Brokers: []BrokerConfig{
			{
				Name: "plant", URL: "tcp://127.0.0.1:1883", Username: "gateway",
				Password: "correct horse", PasswordFile: password,
				Keepalive: 20 * time.Second, Inflight: 200, MaxPacket: 64 << 10,
			},
			{
				Name: "cellar", URL: "mqtts://cellar.example:8883", ClientID: "gw7-cellar",
				Keepalive: 30 * time.Second, Inflight: 1000, MaxPacket: 256 << 10,
			},
		},
		Broker: ListenConfig{
			Listen: "127.0.0.1:1884", Name: "local",
			Users: []UserConfig{
				{Name: "sensor", Password: "inline"},
				{Name: "panel", Password: "correct horse", PasswordFile: password},
			},
		},
		HTTPIn: HTTPInConfig{
			Listen: "127.0.0.1:9181", Token: "correct horse", TokenFile: password, MaxBody: 64 << 10, Rate: 20, Burst: 50, MaxWaiting: 32,
		},
		Sources: []SourceConfig{
			{
				Name: "orders", Kind: "files", Path: "testdata/config/in", Glob: "*.csv", Recursive: true, On: []string{"create", "delete"},
				Settle: 2 * time.Second, Content: true, MaxSize: 64 << 10, Then: "move", MoveTo: "testdata/config/done", Poll: 5 * time.Second,
			},
			{Name: "syslog", Kind: "tail", Path: "testdata/config/messages", From: "end", MaxLine: 4 << 10, Poll: time.Second},
			{Name: "meter", Kind: "process", Command: []string{"/bin/cat", "-"}, Dir: "/", Env: []string{"UNIT=7"}, MaxLine: 1 << 10},
		},
		Registry: RegistryConfig{
			Ref: "oci://ghcr.io/acme/fleet:latest", RootFile: "testdata/config/root.json",
			CAFile: "testdata/config/ca.pem", CredentialsFile: password, Poll: 10 * time.Minute,
		},
		Fleet: FleetConfig{
			Name: "plant-west", URL: "mqtts://hub.example", Username: "gw7", Password: "correct horse", PasswordFile: password,
			CAFile: "testdata/config/ca.pem", Keepalive: 10 * time.Minute,
		},
		Policy: PolicyConfig{
			Apps: []string{"plant-*"}, Publish: []string{"alerts/#"}, HTTP: []string{"*.acme.example"}, Invoke: []string{"central/alerts"},
			Secrets: []string{}, Memory: 64 << 20, Timeout: 5 * time.Second,
		},
		Targets: []TargetConfig{
			{TargetConfig: uplink.TargetConfig{
				Name: "alerts", Kind: "cloudevents", URL: "https://hooks.example/alerts", TokenFile: password,
				Headers: []string{"X-Site: West"}, Timeout: 10 * time.Second,
			}, InFlight: 4},
			{TargetConfig: uplink.TargetConfig{
				Name: "jobs", Kind: "lambda", Region: "eu-north-1", Function: "Resize",
				AccessKeyID: "AKIAEXAMPLE", SecretAccessKeyFile: password,
			}},
		},
		Secrets:  []SecretConfig{{Name: "pager-token", File: password}, {Name: "site-key", Env: "SKERRY_TEST_SITE_KEY"}},
		HTTP:     HTTPConfig{CAFile: "testdata/config/ca.pem"},
		Uplink:   UplinkConfig{Disk: 64 << 20, Full: "evict"},
		Limits:   LimitsConfig{Disk: 128 << 20, Module: 8 << 20},
		Admin:    AdminConfig{Socket: "testdata/config/data/skerry.sock"},
		Page:     PageConfig{Listen: "127.0.0.1:9280", Hosts: []string{"gw7.example"}, TokenFile: "testdata/config/page.token"},
		Log:      LogConfig{Level: "debug", Format: "json"},
		Warnings: warnings,
	}
}

func TestLoadConfigDefaultsWithoutFile(t *testing.T) {
	t.Setenv("SKERRY_REGISTRY_REF", "oci://h/fleet")
	t.Setenv("SKERRY_REGISTRY_ROOT", fleetRoot(t))
	c, err := LoadConfig("")
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if c.Device.ID != host || c.Data != "/var/lib/skerry" || c.Admin.Socket != "/var/lib/skerry/skerry.sock" {
		t.Errorf("device %q, data %q, socket %q", c.Device.ID, c.Data, c.Admin.Socket)
	}
	if c.Registry.Poll != 5*time.Minute || c.Limits.Disk != 256<<20 || c.Log != (LogConfig{"info", "text"}) {
		t.Errorf("registry %+v, limits %+v, log %+v", c.Registry, c.Limits, c.Log)
	}
}

func TestEnvironmentReplacesTheFile(t *testing.T) {
	for name, value := range map[string]string{
		"SKERRY_DEVICE_ID":           "from-env",
		"SKERRY_DEVICE_LABELS":       "site=east, hw=pi4",
		"SKERRY_DATA":                "/tmp/from-env",
		"SKERRY_BROKER_LISTEN":       "127.0.0.1:2883",
		"SKERRY_BROKER_ANONYMOUS":    "true",
		"SKERRY_REGISTRY_REF":        "oci://127.0.0.1:5000/fleet:1",
		"SKERRY_REGISTRY_ROOT":       fleetRoot(t),
		"SKERRY_REGISTRY_POLL":       "30s",
		"SKERRY_REGISTRY_PLAIN_HTTP": "true",
		"SKERRY_LIMITS_DISK":         "1GiB",
		"SKERRY_LIMITS_MODULE":       "16MiB",
		"SKERRY_ADMIN_SOCKET":        "/run/skerry.sock",
		"SKERRY_PAGE_LISTEN":         "off",
		"SKERRY_PAGE_HOSTS":          "a.example, b.example",
		"SKERRY_LOG_LEVEL":           "warn",
	} {
		t.Setenv(name, value)
	}
	c, err := LoadConfig(writeConfig(t, "device: {id: file}\nregistry: {poll: 1h}\nlog: {level: debug}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Device:   DeviceConfig{ID: "from-env", Labels: []string{"site=east", "hw=pi4"}},
		Data:     "/tmp/from-env",
		Clock:    ClockConfig{Wait: defaultClockWait},
		Broker:   ListenConfig{Listen: "127.0.0.1:2883", Name: "local", Anonymous: true},
		Registry: RegistryConfig{Ref: "oci://127.0.0.1:5000/fleet:1", Root: fleetRoot(t), Poll: 30 * time.Second, PlainHTTP: true},
		Uplink:   UplinkConfig{Disk: 512 << 20, Full: "evict"},
		Limits:   LimitsConfig{Disk: 1 << 30, Module: 16 << 20},
		Admin:    AdminConfig{Socket: "/run/skerry.sock"},
		Page:     PageConfig{Listen: pageOff, Hosts: []string{"a.example", "b.example"}, Write: true},
		Log:      LogConfig{Level: "warn", Format: "text"},
		Warnings: c.Warnings,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"unknown key", "registry: {reff: x}", `skerry.yaml: registry.reff: there is no such key; did you mean "ref"?`},
		{"unknown key without value", "brokrs:", `skerry.yaml: brokrs: there is no such key; did you mean "brokers"?`},
		{"far from any key", "log: {rotation: 5}", "skerry.yaml: log.rotation: there is no such key; there are level, format"},
		{"unknown key in a list", "brokers: [{name: a, url: 'tcp://h', qos: 1}]", "skerry.yaml: brokers[0].qos: there is no such key; there are name, url"},
		{"not YAML", "device: [", "skerry.yaml is not valid YAML: "},
		{"key twice", "data: a\ndata: b", "skerry.yaml is not valid YAML: "},
		{"value for a section", "device: gw7", "skerry.yaml: device: is a section with keys of its own (id, labels, claim_file), not a value"},
		{"section for a list", "brokers: {name: a}", `skerry.yaml: brokers: is a list: start each entry with "- "`},
		{"number for text", "device: {id: 7}", "skerry.yaml: device.id: is text: put 7 in quotes"},
		{"duration without unit", "registry: {poll: 30}", "skerry.yaml: registry.poll: is a duration with a unit, such as 500ms, 30s or 5m, not 30"},
		{"negative duration", "registry: {poll: -1m}", "not -1m"},
		{"size", "limits: {disk: much}", "skerry.yaml: limits.disk: is a size, such as 512KiB, 64MiB or 1GiB, not much"},
		{"size overflow", "limits: {disk: 9999999999GiB}", "limits.disk: is a size"},
		{"small disk", "limits: {disk: 1KiB}", "limits.disk: is at least 16MiB"},
		{"yes for a bool", "broker: {anonymous: maybe}", "broker.anonymous: is true or false, not maybe"},
		{"fraction", "brokers: [{name: a, url: 'tcp://h', inflight: 1.5}]", "brokers[0].inflight: is a whole number"},
		{"inflight", "brokers: [{name: a, url: 'tcp://h', inflight: 70000}]", "brokers[0].inflight: is from 1 to 65535, not 70000"},
		{"keepalive", "brokers: [{name: a, url: 'tcp://h', keepalive: 1s}]", "brokers[0].keepalive: is from 2s to 18h, not 1s"},
		{"device id", "device: {id: 'a b'}", "device.id: is 1 to 64 letters"},
		{"label", "device: {labels: [west]}", "device.labels[0]: is name=value, such as site=west"},
		{"broker URL", "brokers: [{name: a, url: 'localhost:1883'}]", "brokers[0].url: is a URL that starts with tcp://, mqtt://"},
		{"password in URL", "brokers: [{name: a, url: 'tcp://u:p@h'}]", "brokers[0].url: holds a user name: logs show URLs"},
		{"broker names", "brokers: [{name: a, url: 'tcp://h'}, {name: a, url: 'tcp://i'}]", `brokers[1].name: "a" is the name of brokers[0] already`},
		{"reserved name", "brokers: [{name: schedule, url: 'tcp://h'}]", `brokers[0].name: "schedule" is the name of the schedule source`},
		{"embedded broker's name", "broker: {listen: 'localhost:1', anonymous: true}\nbrokers: [{name: local, url: 'tcp://h'}]", `brokers[0].name: "local" is the name of the embedded broker`},
		{"password without user", "brokers: [{name: a, url: 'tcp://h', password: x}]", "brokers[0].username: is missing"},
		{"two passwords", "brokers: [{name: a, url: 'tcp://h', username: u, password: x, password_file: pw}]", "brokers[0].password: is set and password_file too: keep one"},
		{"missing file", "brokers: [{name: a, url: 'tls://h', ca_file: none.pem}]", "brokers[0].ca_file: cannot be read: stat "},
		{"missing roots of requests", "http: {ca_file: none.pem}", "skerry.yaml: http.ca_file: cannot be read: stat "},
		{"unknown key of requests", "http: {cafile: pw}", `skerry.yaml: http.cafile: there is no such key; did you mean "ca_file"?`},
		{"directory for a file", "secrets: [{name: a, file: .}]", "is no regular file"},
		{"certificate without key", "brokers: [{name: a, url: 'tls://h', cert_file: pw}]", "brokers[0].cert_file: and key_file go together"},
		{"empty password file", "brokers: [{name: a, url: 'tcp://h', username: u, password_file: empty}]", "skerry.yaml: brokers[0].password_file: "},
		{"listen", "broker: {listen: '1883', anonymous: true}", "broker.listen: is host:port"},
		{"closed broker", "broker: {listen: 'localhost:1883'}", "broker.users: is empty, so nobody could connect"},
		{"user without password", "broker: {listen: 'localhost:1883', users: [{name: a}]}", "broker.users[0].password_file: is missing"},
		{"registry", "registry: {ref: ghcr.io/a/b}", `registry.ref: is oci://host/repository:tag or oci-layout:/path, not "ghcr.io/a/b"`},
		{"target kind", "targets: [{name: a, kind: kafka}]", `targets[0].kind: "kafka" is not known; use one of azure, cloudevents, `},
		{"target URL", "targets: [{name: a, kind: http, url: 'ftp://h'}]", "targets[0].url: must begin with http:// or https://"},
		{"lambda", "targets: [{name: a, kind: lambda, region: x}]", "targets[0].function: is missing; give its name or ARN"},
		{"token and user", "targets: [{name: a, kind: http, url: 'http://h', auth: bearer, token: x, username: u}]", "targets[0].username: is not for auth bearer; remove it"},
		{"two keys", "targets: [{name: a, kind: lambda, function: f, region: eu-north-1, access_key_id: i, secret_access_key: x, secret_access_key_file: pw}]", "targets[0].secret_access_key: is set and secret_access_key_file too"},
		{"two mistakes of one", "targets: [{name: a, kind: http, url: 'http://h', compress: zip, path: x}]", "targets[0].path: begins with a slash and holds no ?, # or space; a query belongs into url\nskerry.yaml: targets[0].compress: is gzip"},
		{"option of another kind", "targets: [{name: a, kind: http, url: 'http://h', region: x}]", "targets[0].region: is no option of kind http; remove it"},
		{"size", "targets: [{name: a, kind: http, url: 'http://h', max_payload: much}]", "targets[0].max_payload: is a size, such as 512KiB"},
		{"payload", "targets: [{name: a, kind: http, url: 'http://h', payload: '${nothing}'}]", "targets[0].payload: cannot be used: "},
		{"header", "targets: [{name: a, kind: http, url: 'http://h', headers: ['a b: c']}]", `targets[0].headers: hold a line that is not of the form "Name: value"`},
		{"secret without value", "secrets: [{name: a}]", "secrets[0]: names one of a file, an environment variable (env) and a credential"},
		{"unset variable", "secrets: [{name: a, env: NEVER_SET_HERE}]", "secrets[0].env: environment variable NEVER_SET_HERE is not set"},
		{"data is a file", "data: pw", "data: "},
		{"long socket", "admin: {socket: /" + strings.Repeat("x", 107) + "}", "admin.socket: "},
		{"level", "log: {level: loud}", `log.level: is one of debug, info, warn, error, not "loud"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := LoadConfig(writeConfig(t, tt.yaml))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := LoadConfig(writeConfig(t, "log: {level: loud, format: xml}\nregistry: {ref: x}\n"))
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three lines, got %v", err)
	}
}

func TestMistakesInValuesAndChecksAreToldTogether(t *testing.T) {
	for _, tt := range []struct {
		name, yaml string
		want       []string // the keys of the lines, in order
	}{
		{
			"different keys", "log: {level: 5, format: xml}\nregistry: {poll: soon, ref: x}\nlimits: {disk: 1KiB}",
			[]string{"log.level", "registry.poll", "registry.ref", "limits.disk", "log.format"},
		},
		{"a value that could not be read", "brokers: [{name: a, url: 5}]", []string{"brokers[0].url"}},
		{"a misspelt key", "brokers: [{name: a, urll: 'tcp://h'}, {name: b}]", []string{"brokers[0].urll", "brokers[1].url"}},
		{"a misspelt section", "brokrs: [{name: a, url: 'tcp://h'}]", []string{"brokrs"}},
		{"no list", "brokers: x", []string{"brokers"}},
		{"a password that is a number", "broker: {listen: 'localhost:1', users: [{name: a, password: 1234}]}", []string{"broker.users[0].password"}},
		{"an embedded broker", "broker: {listen: 'localhost:1', anonymous: maybe}\nlog: {format: xml}", []string{"broker.anonymous", "log.format"}},
		{"a secret's file", "secrets: [{name: a, file: 5}]\nregistry: {ref: x}", []string{"secrets[0].file", "registry.ref"}},
		{
			"credentials", "brokers: [{name: a, url: 'tcp://h', username: u, password_file: empty}, {name: b, url: 'tcp://h', username: u, password_file: none}]\nlog: {format: xml}",
			[]string{"brokers[0].password_file", "brokers[1].password_file", "log.format"},
		},
	} {
		_, err := LoadConfig(writeConfig(t, tt.yaml))
		var got []string
		for line := range strings.Lines(fmt.Sprint(err)) {
			key, _, _ := strings.Cut(strings.TrimPrefix(line, "skerry.yaml: "), ":")
			got = append(got, key)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: told %q, want %q\n%v", tt.name, got, tt.want, err)
		}
	}
}

func TestEmptyConfigurationNamesTheNextStep(t *testing.T) {
	for _, text := range []string{"", "device: {id: gw7}", "brokers: []\nbroker: {anonymous: true}"} {
		_, err := LoadConfig(writeConfig(t, text))
		if err == nil || !strings.HasPrefix(err.Error(), "skerry.yaml: brokers: is empty") ||
			!strings.Contains(err.Error(), "name the MQTT broker to connect to") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %v", text, err)
		}
	}
	for _, text := range []string{"brokers: [{name: a, url: 'tcp://h'}]", "broker: {listen: 'localhost:1', anonymous: true}", "registry: {ref: 'oci://h/r', root_file: root.json}"} {
		if _, err := LoadConfig(writeConfig(t, text)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestHostNameAsDeviceIDIsWarnedAbout(t *testing.T) {
	for id, want := range map[string]bool{"": true, "device: {id: gw7}\n": false} {
		c, err := LoadConfig(writeConfig(t, id+"registry: {ref: 'oci://h/r', root_file: root.json}"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.Warnings, "\n")
		if strings.Contains(got, "must be unique among all devices; set device.id") != want || want && !strings.Contains(got, c.Device.ID) {
			t.Errorf("%q: warnings %q", id, got)
		}
	}
}

func TestMissingFileIsToldInFull(t *testing.T) {
	dir := filepath.Dir(writeConfig(t, "brokers: [{name: a, url: 'tls://h', ca_file: certs/none.pem}]"))
	t.Chdir(dir)
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := "brokers[0].ca_file: cannot be read: stat " + filepath.Join(wd, "certs/none.pem") + ": no such file"
	if _, err := LoadConfig("skerry.yaml"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestConfigSocketNeedsNothingElse(t *testing.T) {
	const unusable = `
brokers: [{name: a, url: 5, username: u, password_file: none, ca_file: none.pem}]
secrets: [{name: a, env: NEVER_SET_HERE}]
targets: [{kind: kafka}]
log: loud
nonsense: {x: y}
`
	for _, tt := range []struct{ yaml, want string }{
		{"", "/var/lib/skerry/skerry.sock"},
		{"data: here", "DIR/here/skerry.sock"},
		{"data: /there", "/there/skerry.sock"},
		{"data: /there\nadmin: {socket: run/s.sock, sokcet: x}", "DIR/run/s.sock"},
		{"admin:", "/var/lib/skerry/skerry.sock"},
	} {
		path := writeConfig(t, tt.yaml+unusable)
		want := strings.Replace(tt.want, "DIR", filepath.Dir(path), 1)
		if got, err := agentSocket("", path); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", tt.yaml, got, err, want)
		}
	}
	t.Setenv("SKERRY_DATA", "/env")
	if got, err := agentSocket("", writeConfig(t, "data: x")); err != nil || got != "/env/skerry.sock" {
		t.Errorf("with SKERRY_DATA: %q, %v", got, err)
	}
}

func TestConfigSocketIsTheAgents(t *testing.T) {
	t.Setenv("SKERRY_TEST_SITE_KEY", "x")
	c, err := LoadConfig("testdata/config/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := agentSocket("", "testdata/config/full.yaml"); err != nil || got != c.Admin.Socket {
		t.Errorf("got %q, %v, want %q", got, err, c.Admin.Socket)
	}
}

func TestConfigSocketErrors(t *testing.T) {
	if _, err := agentSocket("", filepath.Join(t.TempDir(), "skerry.yaml")); err == nil || !strings.Contains(err.Error(), "does not exist: write one") {
		t.Errorf("missing file: %v", err)
	}
	for text, want := range map[string]string{
		"admin: x":           "skerry.yaml: admin: is a section",
		"admin: {socket: 5}": "skerry.yaml: admin.socket: is text",
		"data: [a":           "skerry.yaml is not valid YAML",
	} {
		if _, err := agentSocket("", writeConfig(t, text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestMistakeInTheEnvironmentNamesTheVariable(t *testing.T) {
	t.Setenv("SKERRY_LOG_LEVEL", "loud")
	_, err := LoadConfig(writeConfig(t, "log: {level: info, format: xml}"))
	for _, want := range []string{"SKERRY_LOG_LEVEL: log.level: is one of", "skerry.yaml: log.format: is one of"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestMissingConfigFileNamesTheNextStep(t *testing.T) {
	_, err := LoadConfig(filepath.Join(t.TempDir(), "skerry.yaml"))
	if err == nil || !strings.Contains(err.Error(), "does not exist: write one") {
		t.Errorf("got %v", err)
	}
}

func TestWarnings(t *testing.T) {
	t.Setenv("SKERRY_REGISTRY_REFF", "oci://h/r")
	t.Setenv("SKERRY_PAGER", "x")
	path := writeConfig(t, `
brokers: [{name: a, url: 'tcp://h', username: u, password: x}]
broker: {users: [{name: a, password: b}]}
secrets: [{name: pager, env: SKERRY_PAGER}]
`)
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"brokers[0].password stands in a file that every user of this device can read: chmod 640 it",
		`SKERRY_REGISTRY_REFF sets nothing; did you mean "SKERRY_REGISTRY_REF"?`,
		"set broker.listen to start it",
	} {
		if !slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning with %q in %q", want, c.Warnings)
		}
	}
	if slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "SKERRY_PAGER") }) {
		t.Errorf("warned of a secret's variable: %q", c.Warnings)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if c, err = LoadConfig(path); err != nil || strings.Contains(strings.Join(c.Warnings, "\n"), "chmod") {
		t.Errorf("warnings of a private file %q, error %v", c.Warnings, err)
	}
}

func TestAnonymousBrokerOnTheNetworkIsWarnedAbout(t *testing.T) {
	for listen, want := range map[string]bool{"0.0.0.0:1883": true, ":1883": true, "127.0.0.1:1883": false, "[::1]:1883": false, "localhost:1883": false} {
		c, err := LoadConfig(writeConfig(t, "broker: {listen: '"+listen+"', anonymous: true}"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(c.Warnings, "\n"), "broker.anonymous"); got != want {
			t.Errorf("%s: warned %v, want %v", listen, got, want)
		}
	}
}

func TestSecretValues(t *testing.T) {
	t.Setenv("PAGER", "from env")
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("two\nlines\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		secret SecretConfig
		want   string
	}{
		{SecretConfig{Name: "a", Env: "PAGER"}, "from env"},
		{SecretConfig{Name: "b", File: file}, "two\nlines"},
	} {
		if got, err := tt.secret.Value(); err != nil || got != tt.want {
			t.Errorf("%+v = %q, %v, want %q", tt.secret, got, err, tt.want)
		}
	}
	if _, err := (SecretConfig{Name: "c", File: file + ".gone"}).Value(); err == nil {
		t.Error("a file that is gone gave a value")
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1024": 1024, "1KiB": 1 << 10, "64MiB": 64 << 20, "64Mi": 64 << 20,
		"1 GiB": 1 << 30, "64MB": 64e6, "5kb": 5000, "7B": 7,
	} {
		var got Size
		if err := parseSize(text, &got); err != nil || got != want {
			t.Errorf("%q = %d, %v, want %d", text, got, err, want)
		}
	}
}

// TestDocumentationNamesEveryKey keeps docs/configuration.md complete.
func TestDocumentationNamesEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range envKeys() {
		for _, want := range []string{"`" + strings.Join(key, ".") + "`", "`" + envName(key) + "`"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("docs/configuration.md does not mention %s", want)
			}
		}
	}
	for _, section := range []reflect.Type{
		reflect.TypeFor[BrokerConfig](), reflect.TypeFor[UserConfig](), reflect.TypeFor[SecretConfig](), reflect.TypeFor[SourceConfig](),
	} {
		for _, key := range structKeys(section) {
			if !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("docs/configuration.md does not mention `%s` of %s", key, section.Name())
			}
		}
	}
}

// TestDocumentationNamesEveryTarget keeps docs/targets.md complete.
func TestDocumentationNamesEveryTarget(t *testing.T) {
	text, err := os.ReadFile("../../docs/targets.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range uplink.Kinds() {
		if !strings.Contains(string(text), "\n| `"+kind+"` | ") {
			t.Errorf("docs/targets.md has no row for kind %s", kind)
		}
	}
	keys := structKeys(reflect.TypeFor[uplink.TargetConfig]())[2:] // name and kind are of all
	for _, key := range keys {
		base := strings.TrimSuffix(key, "_file")
		if !strings.Contains(string(text), "`"+key+"`") && !(base != key && slices.Contains(keys, base)) {
			t.Errorf("docs/targets.md does not mention `%s`", key)
		}
	}
}

func FuzzLoadConfig(f *testing.F) {
	full, err := os.ReadFile("testdata/config/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add([]byte("brokers: [{name: a, url: tcp://h, inflight: 1e9}]"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(dir, "skerry.yaml")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(path)
		if err == nil && (c.Data == "" || c.Registry.Poll <= 0 || c.Limits.Disk < minDisk) {
			t.Errorf("accepted %+v", c)
		}
	})
}

// writeConfig puts text into a skerry.yaml that everybody may read, beside a
// file "pw" with a password and an empty file.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"skerry.yaml": text, "pw": "secret\n", "empty": "\n", "root.json": fleetRoot(t)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "skerry.yaml")
}
