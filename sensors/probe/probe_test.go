package probe_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors/probe"
)

// ask probes the broker at a URL of testbed.
func ask(t *testing.T, url, user, password string, filters ...string) (probe.Facts, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return probe.Run(ctx, probe.Options{
		ClientID: "probe", Filters: filters,
		Dial: func(ctx context.Context) (net.Conn, string, string, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "tcp://"))
			return c, user, password, err
		},
	})
}

func TestABrokerThatKeepsEverything(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	f, err := ask(t, broker.URL, "", "", "a/#", "$share/g/b/+")
	if err != nil {
		t.Fatal(err)
	}
	if !f.V5 || !f.Keeps || f.NoShared || len(f.Refused)+len(f.Lowered) > 0 || f.Limits.SessionExpiry != probe.Forever ||
		f.Limits.MaxQoS != 2 || f.Limits.NoRetain || f.Dropped != 0 || !strings.HasPrefix(f.Software, "mosquitto version 2") {
		t.Errorf("%+v", f)
	}
	if again, err := ask(t, broker.URL, "", ""); err != nil || !again.Keeps {
		t.Errorf("a session was left behind: %+v, %v", again, err)
	}
}

func TestABrokerThatLosesMessages(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{
		Users:  map[string]string{"gw": "right"},
		Config: "max_packet_size 2000\nretain_available false\nmax_qos 0\n",
	})
	f, err := ask(t, broker.URL, "gw", "right", "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if f.Limits.MaxPacket != 2000 || !f.Limits.NoRetain || f.Limits.MaxQoS != 0 || !slices.Equal(f.Lowered, []string{"a/b"}) {
		t.Errorf("%+v", f)
	}
	var refused *probe.Refusal
	if _, err := ask(t, broker.URL, "gw", "wrong"); !errors.As(err, &refused) || !strings.Contains(err.Error(), "check username") {
		t.Errorf("wrong password: %v", err)
	}
}

// TestABrokerOfOldSpeaks311Only closes the connection on a version that it does not
// know, keeps no session, and lets nobody subscribe.
func TestABrokerOfOldSpeaks311Only(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			answerAsOf311(c)
		}
	}()
	f, err := ask(t, "tcp://"+l.Addr().String(), "", "", "a")
	if err != nil || f.V5 || f.Keeps || !f.NoShared || !slices.Equal(f.Refused, []string{"a"}) || f.Dropped != -1 {
		t.Errorf("%+v, %v", f, err)
	}
	l.Close()
	if _, err := ask(t, "tcp://"+l.Addr().String(), "", ""); err == nil {
		t.Error("nobody listens, and no error")
	}
}

func answerAsOf311(c net.Conn) {
	defer c.Close()
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil || !bytes.Contains(b[:n], []byte("MQTT\x04")) {
		return
	}
	c.Write([]byte{0x20, 2, 0, 0})
	if _, err = c.Read(b); err != nil || b[0] != 0x82 {
		return
	}
	c.Write([]byte{0x90, 6, 0, 1, 0x80, 0x80, 0x80, 0x80, 0xd0, 0})
	c.Read(b) // the goodbye
}
