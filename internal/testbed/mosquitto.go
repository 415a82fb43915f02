package testbed

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const installMosquitto = "apt-get install mosquitto mosquitto-clients"

// MosquittoOptions say how a broker shall be. The zero value gives one that
// anybody may use and that forgets everything when it stops.
type MosquittoOptions struct {
	Port    int               // 0 means a free one
	Dir     string            // for its files; "" means a directory of the test
	Persist bool              // sessions outlive Stop and Restart
	Users   map[string]string // passwords by name; nobody else may connect
	TLS     *TLSFiles         // listen with TLS only, and ask for a client certificate
	Config  string            // more lines for mosquitto.conf
}

// Mosquitto is a real broker on 127.0.0.1.
type Mosquitto struct {
	Port int
	URL  string // tcp:// or mqtts://

	*Proc
	t    testing.TB
	conf string
}

// StartMosquitto starts a broker and stops it when the test ends.
func StartMosquitto(t testing.TB, opts MosquittoOptions) *Mosquitto {
	t.Helper()
	m := &Mosquitto{t: t, Port: opts.Port}
	if m.Port == 0 {
		m.Port = FreePort(t)
	}
	scheme := "tcp"
	if opts.TLS != nil {
		scheme = "mqtts"
	}
	m.URL = scheme + "://" + Addr(m.Port)
	dir := cmp.Or(opts.Dir, t.TempDir())
	m.conf = filepath.Join(dir, "mosquitto.conf")
	if err := os.WriteFile(m.conf, []byte(mosquittoConf(t, m.Port, dir, &opts)), 0o600); err != nil {
		t.Fatalf("write mosquitto.conf: %v", err)
	}
	m.Restart()
	return m
}

// Restart starts the broker again, after Stop or Kill, on the same port and
// with the same files.
func (m *Mosquitto) Restart() {
	m.t.Helper()
	m.Proc = Start(m.t, installMosquitto, Listening(Addr(m.Port)), "mosquitto", "-c", m.conf)
}

func mosquittoConf(t testing.TB, port int, dir string, o *MosquittoOptions) string {
	t.Helper()
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("listener %d 127.0.0.1", port)
	line("set_tcp_nodelay true")
	line("max_queued_messages 200000")
	if os.Geteuid() == 0 {
		line("user root") // the test's files belong to root
	}
	if o.Persist {
		line("persistence true")
		line("persistence_location %s/", dir)
		line("autosave_interval 3600") // it saves when it is told to stop
	}
	if o.TLS != nil {
		line("cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true", o.TLS.CA, o.TLS.ServerCert, o.TLS.ServerKey)
	}
	if len(o.Users) > 0 {
		line("allow_anonymous false\npassword_file %s", passwordFile(t, dir, o.Users))
	} else {
		line("allow_anonymous true")
	}
	b.WriteString(o.Config)
	return b.String()
}

func passwordFile(t testing.TB, dir string, users map[string]string) string {
	t.Helper()
	path := filepath.Join(dir, "passwords")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatalf("write password file: %v", err)
	}
	for name, password := range users {
		if out, err := exec.Command("mosquitto_passwd", "-b", path, name, password).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s; install it with: %s", err, out, installMosquitto)
		}
	}
	return path
}
