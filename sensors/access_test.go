package sensors_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// TestPasswordFileIsReadAnew: a token that somebody renews on disk counts from
// the next connection on.
func TestPasswordFileIsReadAnew(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"plc": "second"}})
	file := write(t, filepath.Join(t.TempDir(), "token"), "first\n")
	src := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Username, o.PasswordFile = "plc", file })
	src.Follow(triggers("a/#"))
	start(t, src, &sink{})
	noted(t, src, "refusal", func(note string) bool { return strings.Contains(note, `refuses user "plc"`) })
	write(t, file, "second\r\n")
	subscribed(t, src, "a/#")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	disconnected(t, src)
	broker.Restart()
	noted(t, src, "the file is gone", func(note string) bool { return strings.Contains(note, file) && strings.Contains(note, "no such file") })
	write(t, file, "second")
	subscribed(t, src, "a/#")
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestCertificatesAreReadAnew has both sides renew theirs.
func TestCertificatesAreReadAnew(t *testing.T) {
	old, renewed, dir := testbed.NewTLSFiles(t), testbed.NewTLSFiles(t), t.TempDir()
	file := func(name, from string) string {
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		return write(t, filepath.Join(dir, name), string(text))
	}
	b, _ := startBroker(t, &sink{keep: true}, func(o *sensors.BrokerOptions) {
		o.CertFile, o.KeyFile = file("server.crt", old.ServerCert), file("server.key", old.ServerKey)
	})
	ca := file("ca.crt", renewed.CA)
	src := newMQTT(t, "tls://"+b.Addr(), func(o *sensors.MQTTOptions) { o.CAFile = ca })
	src.Follow(triggers("a/#"))
	start(t, src, &sink{})
	noted(t, src, "unknown authority", func(note string) bool { return strings.Contains(note, "certificate") })
	file("ca.crt", old.CA)
	subscribed(t, src, "a/#")
	file("server.crt", renewed.ServerCert)
	file("server.key", renewed.ServerKey)
	file("ca.crt", renewed.CA)
	other := newMQTT(t, "tls://"+b.Addr(), func(o *sensors.MQTTOptions) { o.CAFile, o.ClientID = ca, "another" })
	other.Follow(triggers("a/#"))
	start(t, other, &sink{})
	subscribed(t, other, "a/#")
}

func TestLastWill(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	got := make(chan string, 10)
	watch := client(t, broker.URL)
	watch.Subscribe("state/#", 1, func(_ paho.Client, m paho.Message) {
		got <- fmt.Sprint(m.Topic(), " ", string(m.Payload()), " ", m.Qos())
	}).WaitTimeout(patience)
	line := newWire(t, broker.Port)
	src := newMQTT(t, line.url(), func(o *sensors.MQTTOptions) {
		o.Will = &sensors.Will{Topic: "state/gw7", Payload: "gone", QoS: 1, Retain: true}
	})
	src.Follow(triggers("a/#"))
	stop := start(t, src, &sink{})
	subscribed(t, src, "a/#")
	line.cut()
	if text := receive(t, got); text != "state/gw7 gone 1" {
		t.Errorf("got %q", text)
	}
	late := make(chan bool, 1)
	client(t, broker.URL).Subscribe("state/gw7", 1, func(_ paho.Client, m paho.Message) { late <- m.Retained() }).WaitTimeout(patience)
	if !<-late {
		t.Error("the will is not retained")
	}
	subscribed(t, src, "a/#")
	stop() // an orderly end is no reason for it
	publish(t, watch, "state/end", 1, "x")
	if text := receive(t, got); text != "state/end x 1" {
		t.Errorf("got %q after an orderly end", text)
	}
}

// TestSeveralBrokers: each has a session, subscriptions and notes of its own.
func TestSeveralBrokers(t *testing.T) {
	n := &notes{}
	brokers := map[string]*testbed.Mosquitto{}
	sources, sinks := map[string]*sensors.MQTT{}, map[string]*sink{}
	for _, name := range []string{"plant", "hall"} {
		brokers[name] = testbed.StartMosquitto(t, testbed.MosquittoOptions{Persist: true})
		sources[name] = newMQTT(t, brokers[name].URL, func(o *sensors.MQTTOptions) { o.Name, o.Notes = name, n })
		all := triggers(name + "/#")
		all[0].Via = name
		sources[name].Follow(append(all, triggers("both/+")...)) // of plant alone
		sinks[name] = &sink{keep: true}
		start(t, sources[name], sinks[name])
	}
	subscribed(t, sources["plant"], "both/+", "plant/#")
	subscribed(t, sources["hall"], "hall/#")
	brokers["hall"].Stop()
	disconnected(t, sources["hall"])
	publish(t, client(t, brokers["plant"].URL), "plant/1", 1, "while hall is away")
	if ev := sinks["plant"].wait(t, 1)[0]; ev.Source != "/gw7/mqtt/plant" || ev.Origin.Slot[:6] != "plant/" {
		t.Errorf("event %+v", ev.Event)
	}
	brokers["hall"].Restart()
	subscribed(t, sources["hall"], "hall/#")
	publish(t, client(t, brokers["hall"].URL), "hall/1", 1, "back")
	if ev := sinks["hall"].wait(t, 1)[0]; ev.Source != "/gw7/mqtt/hall" || ev.Via != "hall" {
		t.Errorf("event %+v", ev.Event)
	}
	if err := sources["hall"].Publish("hall/2", []byte("own"), 1, false); err != nil {
		t.Error(err)
	}
	sinks["hall"].wait(t, 2)
	if got := len(sinks["plant"].offers()); got != 1 {
		t.Errorf("plant has %d events", got)
	}
}

// TestBrokerListeners: one broker on all kinds of them.
func TestBrokerListeners(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	socket := filepath.Join(t.TempDir(), "mqtt.sock")
	ports := []int{testbed.FreePort(t), testbed.FreePort(t), testbed.FreePort(t), testbed.FreePort(t)}
	s := &sink{keep: true}
	b, stop := startBroker(t, s, func(o *sensors.BrokerOptions) {
		o.CertFile, o.KeyFile = files.ServerCert, files.ServerKey
		o.Listen = fmt.Sprintf("tcp://127.0.0.1:%d, tls://127.0.0.1:%d, ws://127.0.0.1:%d, wss://127.0.0.1:%d, unix:%s",
			ports[0], ports[1], ports[2], ports[3], socket)
	})
	b.Follow(triggers("a/+"))
	for i, scheme := range []string{"tcp", "tls", "ws", "wss"} {
		src := newMQTT(t, fmt.Sprintf("%s://127.0.0.1:%d", scheme, ports[i]), func(o *sensors.MQTTOptions) {
			o.ClientID = scheme
			if i%2 == 1 {
				o.CAFile = files.CA
			}
		})
		src.Follow(triggers("b/+"))
		through := &sink{keep: true}
		end := start(t, src, through)
		subscribed(t, src, "b/+")
		for _, topic := range []string{"a/" + scheme, "b/" + scheme} {
			if err := src.Publish(topic, []byte(strings.Repeat("x", 100_000)), 1, false); err != nil {
				t.Fatal(err)
			}
		}
		if ev := s.wait(t, i+1)[i]; ev.Subject != "a/"+scheme || len(ev.Data) != 100_000 {
			t.Errorf("%s: event %s with %d bytes", scheme, ev.Subject, len(ev.Data))
		}
		if ev := through.wait(t, 1)[0]; ev.Subject != "b/"+scheme || len(ev.Data) != 100_000 {
			t.Errorf("%s: back came %s with %d bytes", scheme, ev.Subject, len(ev.Data))
		}
		end()
	}
	if out, err := tool(t, "mosquitto_pub", b.Addr(), "--unix", socket, "-t", "a/unix", "-m", "x", "-q", "2"); err != nil {
		t.Errorf("mosquitto_pub: %v: %s", err, out)
	}
	s.wait(t, 5)
	stop()
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket stays behind")
	}
}

// TestBrokerSessionsOutliveIt with mosquitto's own clients.
func TestBrokerSessionsOutliveIt(t *testing.T) {
	s := &sink{keep: true}
	opts := func(o *sensors.BrokerOptions) {
		o.Path = filepath.Join(t.TempDir(), "broker", "sessions")
	}
	var kept sensors.BrokerOptions
	b, stop := startBroker(t, s, opts, func(o *sensors.BrokerOptions) { kept = *o })
	sub := []string{"-c", "-i", "panel", "-t", "a/#", "-q", "1", "-v"}
	if out, err := tool(t, "mosquitto_sub", b.Addr(), append(sub, "-E")...); err != nil {
		t.Fatalf("mosquitto_sub: %v: %s", err, out)
	}
	for _, text := range []string{"1", "2", "3"} {
		if out, err := tool(t, "mosquitto_pub", b.Addr(), "-t", "a/1", "-m", text, "-q", "1"); err != nil {
			t.Fatalf("mosquitto_pub: %v: %s", err, out)
		}
	}
	if out, err := tool(t, "mosquitto_pub", b.Addr(), "-t", "kept", "-m", "value", "-r"); err != nil {
		t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
	stop()
	b, _ = startBroker(t, s, func(o *sensors.BrokerOptions) { *o = kept })
	out, err := tool(t, "mosquitto_sub", b.Addr(), append(sub, "-C", "3", "-W", "10")...)
	if want := "a/1 1\na/1 2\na/1 3"; err != nil || out != want {
		t.Errorf("mosquitto_sub: %v: %q, want %q", err, out, want)
	}
	if out, err := tool(t, "mosquitto_sub", b.Addr(), "-t", "kept", "-C", "1", "-W", "10"); err != nil || out != "value" {
		t.Errorf("mosquitto_sub: %v: %q, want the retained message", err, out)
	}
}

// TestBrokerRights: users see and reach what they may.
func TestBrokerRights(t *testing.T) {
	s := &sink{keep: true}
	file := write(t, filepath.Join(t.TempDir(), "password"), "first")
	b, _ := startBroker(t, s, func(o *sensors.BrokerOptions) {
		o.Anonymous = false
		o.Users = []sensors.User{{Name: "plc", PasswordFile: file, Publish: []string{"from/%u/%c"}, Subscribe: []string{"to/%u/#"}}}
	})
	b.Follow(triggers("from/#"))
	as := func(password string, args ...string) []string {
		return append([]string{"-u", "plc", "-P", password, "-i", "one", "-q", "1"}, args...)
	}
	if out, err := tool(t, "mosquitto_pub", b.Addr(), as("first", "-t", "from/plc/one", "-m", "x")...); err != nil {
		t.Errorf("its own topic: %v: %s", err, out)
	}
	tool(t, "mosquitto_pub", b.Addr(), as("first", "-t", "from/plc/two", "-m", "y", "--repeat", "1")...) // loses its connection
	out, _ := tool(t, "mosquitto_sub", b.Addr(), as("first", "-t", "from/#", "-W", "2")...)
	if !strings.Contains(out, "denied") {
		t.Errorf("somebody else's filter: %s", out)
	}
	write(t, file, "second")
	if out, err := tool(t, "mosquitto_pub", b.Addr(), as("first", "-t", "from/plc/one", "-m", "x")...); err == nil {
		t.Errorf("the old password still works: %s", out)
	}
	if out, err := tool(t, "mosquitto_pub", b.Addr(), as("second", "-t", "from/plc/one", "-m", "z")...); err != nil {
		t.Errorf("the new password: %v: %s", err, out)
	}
	s.wait(t, 2)
	if got := strings.Join(s.texts(0), " "); got != "x z" {
		t.Errorf("events %q", got)
	}
	if note := b.Status().Note; !strings.Contains(note, "1 messages refused") {
		t.Errorf("note %q", note)
	}
}

// TestBrokerIsBridged: a mosquitto elsewhere hands its messages on to the
// embedded broker, and gets those of here.
func TestBrokerIsBridged(t *testing.T) {
	s := &sink{keep: true}
	b, _ := startBroker(t, s)
	b.Follow(triggers("up/#"))
	far := testbed.StartMosquitto(t, testbed.MosquittoOptions{
		Config: "connection gw7\naddress " + b.Addr() + "\ntopic up/# out 1\ntopic down/# in 1\nrestart_timeout 1\ncleansession false\n",
	})
	got := make(chan string, 10)
	c := client(t, far.URL)
	c.Subscribe("down/#", 1, func(_ paho.Client, m paho.Message) { got <- m.Topic() + " " + string(m.Payload()) }).WaitTimeout(patience)
	publish(t, c, "up/1", 1, "from afar")
	if ev := s.wait(t, 1)[0]; ev.Subject != "up/1" || string(ev.Data) != "from afar" || ev.QoS != 1 {
		t.Errorf("got %+v", ev.Event)
	}
	if err := b.Publish("down/1", []byte("from here"), 1, false); err != nil {
		t.Fatal(err)
	}
	if text := receive(t, got); text != "down/1 from here" {
		t.Errorf("got %q", text)
	}
}
