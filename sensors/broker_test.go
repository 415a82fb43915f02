package sensors_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// startBroker runs an embedded broker named "plant" on a free port.
func startBroker(t *testing.T, s *sink, more ...func(*sensors.BrokerOptions)) (b *sensors.Broker, stop func()) {
	t.Helper()
	opts := sensors.BrokerOptions{Name: "plant", Device: "gw7", Listen: "127.0.0.1:0", Anonymous: true, Log: quiet()}
	for _, m := range more {
		m(&opts)
	}
	b, err := sensors.NewBroker(opts)
	if err != nil {
		t.Fatal(err)
	}
	stop = start(t, b, s)
	testbed.Eventually(t, patience, "broker listens", func() error {
		if b.Addr() == "" {
			return errors.New("no address")
		}
		return nil
	})
	return b, stop
}

// tool runs mosquitto_pub or mosquitto_sub against addr.
func tool(t *testing.T, name, addr string, args ...string) (string, error) {
	t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	var out bytes.Buffer
	cmd := exec.Command(name, append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%s is missing; install it with: apt-get install mosquitto-clients", name)
	}
	return strings.TrimSpace(out.String()), err
}

func TestBrokerWithMosquittoClients(t *testing.T) {
	s := &sink{keep: true}
	b, _ := startBroker(t, s)
	b.Follow(triggers("a/+"))
	for _, args := range [][]string{
		{"-t", "a/1", "-m", `{"t":1}`, "-q", "0"},
		{"-t", "a/2", "-m", "one", "-q", "1"},
		{"-t", "a/3", "-m", "two", "-q", "2"},
		{"-t", "a/4", "-m", "kept", "-q", "1", "-r"},
		{"-t", "b/1", "-m", "nobody's", "-q", "1"},
	} {
		if out, err := tool(t, "mosquitto_pub", b.Addr(), args...); err != nil {
			t.Fatalf("mosquitto_pub %v: %v: %s", args, err, out)
		}
	}
	got := s.wait(t, 4)
	if texts := s.texts(0); !slices.Equal(texts, []string{`{"t":1}`, "one", "two", "kept"}) {
		t.Errorf("got %q", texts)
	}
	if ev := got[1]; ev.QoS != 1 || ev.Source != "/gw7/mqtt/plant" || ev.Via != "plant" || ev.Origin.Slot == "" {
		t.Errorf("event %+v", ev.Event)
	}
	if got[0].done != nil || got[2].QoS != 1 {
		t.Error("QoS 0 has somebody waiting, or QoS 2 is not an event of QoS 1")
	}
	if out, err := tool(t, "mosquitto_sub", b.Addr(), "-t", "a/#", "-C", "1", "-W", "10"); err != nil || out != "kept" {
		t.Errorf("mosquitto_sub: %v: %q, want the retained message", err, out)
	}
}

func TestBrokerAcknowledgesAfterDone(t *testing.T) {
	s := &sink{}
	b, _ := startBroker(t, s)
	b.Follow(triggers("a/#"))
	c := client(t, "tcp://"+b.Addr())
	token := c.Publish("a/1", 1, false, "hello")
	ev := s.wait(t, 1)[0]
	if b.Status().Inflight != 1 {
		t.Errorf("status %+v while an event waits", b.Status())
	}
	select {
	case <-token.Done():
		t.Fatal("acknowledged before its outcome was durable")
	default:
	}
	ev.done(errors.New("disk full")) // it is offered again
	again := s.wait(t, 2)[1]
	select {
	case <-token.Done():
		t.Fatal("acknowledged though the agent could not keep it")
	default:
	}
	again.done(nil)
	if !token.WaitTimeout(patience) || token.Error() != nil {
		t.Errorf("not acknowledged: %v", token.Error())
	}
	idle(t, b)
}

// TestBrokerRefusesWithoutAcknowledgement shows what a sensor sees of an agent
// that can keep nothing: its connection ends, and what it sends again is
// recognisable.
func TestBrokerRefusesWithoutAcknowledgement(t *testing.T) {
	s := &sink{}
	b, _ := startBroker(t, s)
	b.Follow(triggers("a/#"))
	store := paho.NewMemoryStore()
	same := func(o *paho.ClientOptions) {
		o.SetClientID("sensor 1").SetCleanSession(false).SetStore(store).SetKeepAlive(2e9)
	}
	lost := make(chan string, 1)
	first := client(t, "tcp://"+b.Addr(), same, func(o *paho.ClientOptions) {
		o.SetConnectionLostHandler(func(_ paho.Client, err error) { lost <- "lost" })
	})
	token := first.Publish("a/1", 1, false, "precious")
	s.wait(t, 1)[0].done(errors.New("disk full"))
	receive(t, lost)
	select {
	case <-token.Done():
		t.Error("acknowledged")
	default:
	}

	// The sensor's own store has the message: a new connection sends it again.
	before := s.wait(t, 2)
	s.mu.Lock()
	s.keep = true
	s.mu.Unlock()
	client(t, "tcp://"+b.Addr(), same)
	again := s.wait(t, len(before)+1)[len(before)]
	want := before[0].Origin
	want.Redelivered = true
	if again.Origin != want || string(again.Data) != "precious" {
		t.Errorf("first %+v, then %+v", before[0].Origin, again.Origin)
	}
}

func TestBrokerUsersAndTLS(t *testing.T) {
	files := testbed.NewTLSFiles(t)
	s := &sink{keep: true}
	b, _ := startBroker(t, s, func(o *sensors.BrokerOptions) {
		o.Anonymous = false
		o.Users = []sensors.User{{Name: "plc", Password: "right"}}
		o.CertFile, o.KeyFile = files.ServerCert, files.ServerKey
	})
	b.Follow(triggers("a/#"))
	message := []string{"-t", "a/1", "-m", "hello", "-q", "1"}
	secure := append([]string{"--cafile", files.CA}, message...)
	for _, tt := range []struct {
		name string
		args []string
		ok   bool
	}{
		{"right password", append([]string{"-u", "plc", "-P", "right"}, secure...), true},
		{"wrong password", append([]string{"-u", "plc", "-P", "wrong"}, secure...), false},
		{"unknown user", append([]string{"-u", "someone", "-P", "right"}, secure...), false},
		{"anonymous", secure, false},
		{"no TLS", append([]string{"-u", "plc", "-P", "right"}, message...), false},
	} {
		if out, err := tool(t, "mosquitto_pub", b.Addr(), tt.args...); (err == nil) != tt.ok {
			t.Errorf("%s: %v: %s", tt.name, err, out)
		}
	}
	if got := len(s.offers()); got != 1 {
		t.Errorf("%d events, want 1", got)
	}
}

func TestBrokerSend(t *testing.T) {
	s := &sink{}
	b, stop := startBroker(t, s)
	b.Follow(triggers("back/#"))
	got := make(chan string, 10)
	c := client(t, "tcp://"+b.Addr())
	c.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
		got <- fmt.Sprint(m.Topic(), " ", string(m.Payload()), " ", m.Qos())
	}).WaitTimeout(patience)

	recs := []agent.Record{
		{Event: agent.Event{Subject: "out/1", Data: []byte("x"), QoS: 1}},
		{Seq: 65536 + 7, Event: agent.Event{ID: "gw7/1/1/f/0", Subject: "back/1", Data: []byte("y"), QoS: 1}},
		{Event: agent.Event{Subject: "out/+"}},
	}
	sent := make(chan []error, 1)
	go func() { sent <- b.Send(t.Context(), recs) }()
	if line := receive(t, got); line != "out/1 x 1" {
		t.Errorf("got %q", line)
	}
	ev := s.wait(t, 1)[0]
	if ev.Subject != "back/1" || ev.QoS != 1 || ev.Origin.Slot != "plant/out/7" || !ev.Origin.Redelivered {
		t.Errorf("came back as %+v", ev.Event)
	}
	select {
	case line := <-got:
		t.Errorf("%q was delivered before its outcome as an event", line)
	default:
	}
	ev.done(nil)
	if line := receive(t, got); line != "back/1 y 1" {
		t.Errorf("got %q", line)
	}
	if errs := <-sent; errs[0] != nil || errs[1] != nil || errs[2] == nil {
		t.Errorf("errors %v", errs)
	}
	if err := b.Publish("back/2", []byte("z"), 0, false); err != nil {
		t.Error(err)
	}
	if ev := s.wait(t, 2)[1]; ev.Subject != "back/2" || ev.done != nil {
		t.Errorf("came back as %+v", ev.Event)
	}
	stop()
	if err := b.Publish("out/1", nil, 0, false); err == nil {
		t.Error("published to a broker that has stopped")
	}
}

func TestBrokerLastWill(t *testing.T) {
	s := &sink{keep: true}
	b, _ := startBroker(t, s)
	b.Follow(triggers("gone/#"))
	line := newWire(t, port(t, b.Addr()))
	client(t, line.url(), func(o *paho.ClientOptions) { o.SetWill("gone/1", "sensor lost", 1, false) })
	line.cut()
	if ev := s.wait(t, 1)[0]; ev.Subject != "gone/1" || string(ev.Data) != "sensor lost" || ev.done != nil {
		t.Errorf("got %+v", ev.Event)
	}
}

func port(t *testing.T, addr string) int {
	t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return tcp.Port
}

func TestBrokerOptions(t *testing.T) {
	for _, tt := range []struct {
		opts sensors.BrokerOptions
		want string
	}{
		{sensors.BrokerOptions{Name: "b"}, "nobody may connect"},
		{sensors.BrokerOptions{Name: "", Anonymous: true}, "1 to 64"},
		{sensors.BrokerOptions{Name: "b", Anonymous: true, Listen: "1883"}, "host:port"},
		{sensors.BrokerOptions{Name: "b", Anonymous: true, CertFile: "x.crt"}, "needs a key"},
		{sensors.BrokerOptions{Name: "b", Anonymous: true, CertFile: "/none/x.crt", KeyFile: "x.key"}, "/none/x.crt"},
		{sensors.BrokerOptions{Name: "b", Users: []sensors.User{{Name: "u"}}}, "needs a name and a password"},
		{sensors.BrokerOptions{Name: "b", Users: []sensors.User{{Name: "u", Password: "p"}, {Name: "u", Password: "q"}}}, "there twice"},
	} {
		if _, err := sensors.NewBroker(tt.opts); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.opts, err, tt.want)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b, err := sensors.NewBroker(sensors.BrokerOptions{Name: "b", Anonymous: true, Listen: taken.Addr().String(), Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), (&sink{}).offer); err == nil || !strings.Contains(b.Status().Note, "address already in use") {
		t.Errorf("Run on a port that is taken: %v, note %q", err, b.Status().Note)
	}
}

func TestBrokerSendKeepsOrderPerTopic(t *testing.T) {
	s := &sink{}
	b, _ := startBroker(t, s)
	b.Follow(triggers("back/#"))
	got := make(chan string, 10)
	c := client(t, "tcp://"+b.Addr())
	c.Subscribe("#", 1, func(_ paho.Client, m paho.Message) {
		got <- fmt.Sprint(m.Topic(), " ", string(m.Payload()))
	}).WaitTimeout(patience)
	recs := []agent.Record{
		{Seq: 7, Event: agent.Event{ID: "a", Subject: "back/1", Data: []byte("first"), QoS: 1}},
		{Seq: 8, Event: agent.Event{ID: "b", Subject: "back/1", Data: []byte("second"), QoS: 0}},
		{Seq: 9, Event: agent.Event{ID: "c", Subject: "other/1", Data: []byte("third"), QoS: 1}},
	}
	sent := make(chan []error, 1)
	go func() { sent <- b.Send(t.Context(), recs) }()
	if line := receive(t, got); line != "other/1 third" {
		t.Errorf("got %q; a topic that nobody here wants must not wait", line)
	}
	s.wait(t, 1)[0].done(nil)
	if one, two := receive(t, got), receive(t, got); one != "back/1 first" || two != "back/1 second" {
		t.Errorf("clients see %q, then %q", one, two)
	}
	for i, err := range <-sent {
		if err != nil {
			t.Errorf("record %d: %v", i, err)
		}
	}
}
