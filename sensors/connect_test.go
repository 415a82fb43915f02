package sensors_test

import (
	"bytes"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

func TestTLSWithClientCertificate(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{TLS: files})
	secure := func(o *sensors.MQTTOptions) {
		o.CAFile, o.CertFile, o.KeyFile = files.CA, files.ClientCert, files.ClientKey
	}
	src := newMQTT(t, broker.URL, secure)
	src.Follow(triggers("a/#"))
	s := &sink{keep: true}
	start(t, src, s)
	subscribed(t, src, "a/#")
	if err := src.Publish("a/1", []byte("over TLS"), 1, false); err != nil {
		t.Fatal(err)
	}
	if got := s.wait(t, 1)[0]; string(got.Data) != "over TLS" {
		t.Errorf("got %q", got.Data)
	}

	stranger := newMQTT(t, broker.URL) // trusts the system's authorities only
	start(t, stranger, &sink{})
	noted(t, stranger, "unknown authority", func(note string) bool { return strings.Contains(note, "certificate") })
}

func TestUserAndPassword(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"plc": "right"}})
	u, _ := url.Parse(broker.URL)
	u.User = url.UserPassword("plc", "right")
	for name, src := range map[string]*sensors.MQTT{
		"options": newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Username, o.Password = "plc", "right" }),
		"url":     newMQTT(t, u.String(), func(o *sensors.MQTTOptions) { o.ClientID = "another" }),
	} {
		src.Follow(triggers("a/#"))
		stop := start(t, src, &sink{})
		subscribed(t, src, "a/#")
		stop()
		if note := src.Status().Note; note != "stopped" {
			t.Errorf("%s: note %q after the stop", name, note)
		}
	}

	wrong := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Username, o.Password = "plc", "wrong" })
	start(t, wrong, &sink{})
	noted(t, wrong, "refusal", func(note string) bool {
		return strings.Contains(note, `refuses user "plc": check username and password`) && !strings.Contains(note, "wrong")
	})
	nobody := newMQTT(t, broker.URL)
	start(t, nobody, &sink{})
	noted(t, nobody, "refusal", func(note string) bool { return strings.Contains(note, "wants credentials") })
}

// The query of a URL may hold a token.
func TestQueryIsNotShown(t *testing.T) {
	src := newMQTT(t, "ws://127.0.0.1:1/mqtt?token=canary")
	start(t, src, &sink{})
	noted(t, src, "no connection", func(note string) bool {
		if strings.Contains(note, "canary") {
			t.Fatal(note)
		}
		return strings.Contains(note, "connect to ws://127.0.0.1:1/mqtt: ")
	})
	_, err := sensors.NewMQTT(sensors.MQTTOptions{Name: "b", URL: "ws://h/mqtt?token=canary", CAFile: "x"})
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}

func TestWebSocket(t *testing.T) {
	url := startWebSockets(t)
	src := newMQTT(t, url)
	src.Follow(triggers("a/#"))
	s := &sink{keep: true}
	start(t, src, s)
	subscribed(t, src, "a/#")
	publish(t, client(t, url), "a/1", 1, "one", "two")
	s.wait(t, 2)
	idle(t, src)
}

// startWebSockets starts mochi: Debian's mosquitto comes without websockets.
func startWebSockets(t *testing.T) (url string) {
	t.Helper()
	addr := testbed.Addr(testbed.FreePort(t))
	server := mochi.New(&mochi.Options{Logger: quiet()})
	if err := server.AddHook(allowAll{&mochi.HookBase{}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := server.AddListener(listeners.NewWebsocket(listeners.Config{ID: "ws", Address: addr})); err != nil {
		t.Fatal(err)
	}
	if err := server.Serve(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return "ws://" + addr
}

// allowAll lets everybody use a mochi broker.
type allowAll struct{ *mochi.HookBase }

func (allowAll) ID() string { return "allow-all" }
func (allowAll) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}
func (allowAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (allowAll) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

func TestMQTTOptions(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	junk := filepath.Join(t.TempDir(), "junk.pem")
	if err := os.WriteFile(junk, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		opts sensors.MQTTOptions
		want string // in the error; "" for none
	}{
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "mqtt://host:1"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "mqtts://host"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "ssl://host"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "tls://host"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "ws://host"}, ""},
		{sensors.MQTTOptions{Name: "b", URL: "wss://host/path", CAFile: files.CA}, ""},
		{sensors.MQTTOptions{URL: "tcp://host"}, "1 to 64 characters"},
		{sensors.MQTTOptions{Name: "a/b", URL: "tcp://host"}, "may only have letters"},
		{sensors.MQTTOptions{Name: "b", URL: "http://host"}, `scheme "http" is unknown`},
		{sensors.MQTTOptions{Name: "b", URL: "host:1883"}, "scheme"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://"}, "names no host"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://user:secret@host:port"}, "cannot be read"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host", CAFile: files.CA}, "not encrypted"},
		{sensors.MQTTOptions{Name: "b", URL: "ssl://host", CAFile: "/none/ca.pem"}, "/none/ca.pem"},
		{sensors.MQTTOptions{Name: "b", URL: "ssl://host", CAFile: junk}, "holds no PEM certificate"},
		{sensors.MQTTOptions{Name: "b", URL: "ssl://host", CertFile: files.ClientCert}, "needs a key"},
		{sensors.MQTTOptions{Name: "b", URL: "ssl://host", CertFile: files.ClientCert, KeyFile: files.ServerKey}, "private key does not match"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host", Password: "secret"}, "needs a username"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host", Inflight: -1}, "unacknowledged"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host", MaxPacket: 1}, "largest packet"},
		{sensors.MQTTOptions{Name: "b", URL: "tcp://host", KeepAlive: 1}, "keep-alive"},
	} {
		_, err := sensors.NewMQTT(tt.opts)
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%+v: %v", tt.opts, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: error %v, want one with %q", tt.opts, err, tt.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("the error tells the password: %v", err)
		}
	}
}

func TestPlainPasswordIsWarnedOf(t *testing.T) {
	for host, warns := range map[string]bool{"127.0.0.1": false, "broker.invalid": true} {
		var log bytes.Buffer
		src := newMQTT(t, "tcp://u:secret@"+host+":1", func(o *sensors.MQTTOptions) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		stop := start(t, src, &sink{})
		noted(t, src, "first failure", func(note string) bool { return note != "not connected yet" })
		stop()
		if got := strings.Contains(log.String(), "unencrypted"); got != warns {
			t.Errorf("%s: warned: %v, log %s", host, got, log.String())
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("%s: the log tells the password", host)
		}
	}
}
