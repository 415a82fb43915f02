package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
)

func TestBrokersThatAreNotReached(t *testing.T) {
	strict := testbed.StartMosquitto(t, testbed.MosquittoOptions{Users: map[string]string{"gw": "right"}})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close() // nobody listens there now
	with := func(user string) string { return strings.Replace(strict.URL, "://", "://"+user+"@", 1) }
	const form = "a broker is named as in mqtt://127.0.0.1:1883"
	for _, tt := range []struct {
		url, want string
		usage     bool
	}{
		{"127.0.0.1:1883", form, true},
		{"http://127.0.0.1", form, true},
		{"mqtt://", form, true},
		{"mqtt://:secret@127.0.0.1", form, true},
		{"tcp://" + closed.Addr().String(), "connect to tcp://" + closed.Addr().String() + ": ", false},
		{strict.URL, "wants credentials", false},
		{with("gw:wrong"), `refuses user "gw": check username and password`, false},
	} {
		_, err := listenTo(context.Background(), tt.url, "")
		var usage usageError
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.As(err, &usage) != tt.usage || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%s: %v; want %s, usage %t", tt.url, err, tt.want, tt.usage)
		}
	}
	b, err := listenTo(context.Background(), with("gw:right"), "a/#")
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// TestAListenerTakesWhatComes has a large message, more than it holds, an end
// while nobody reads, and a broker that goes away.
func TestAListenerTakesWhatComes(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	proxy, url := testbed.InFront(t, broker.URL)
	b, err := listenTo(context.Background(), url, "a/#")
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, broker.URL)
	large := bytes.Repeat([]byte("x"), 1<<20)
	if err := token(c.Publish("a/large", 1, false, large)); err != nil {
		t.Fatal(err)
	}
	if e, err := b.Next(); err != nil || !bytes.Equal(e.Event.Data, large) {
		t.Fatalf("%d bytes came, %v", len(e.Event.Data), err)
	}
	const many = 1000
	for i := range many {
		if err := token(c.Publish(fmt.Sprintf("a/%d", i), 1, false, "1")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range many / 2 {
		if e, err := b.Next(); err != nil || e.Event.Subject != fmt.Sprintf("a/%d", i) {
			t.Fatalf("%d: %+v, %v", i, e.Event, err)
		}
	}
	testbed.Eventually(t, 10*time.Second, "what waits fills the listener", func() error {
		if n := len(b.entries); n < cap(b.entries) {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	b.Close()
	if b, err = listenTo(context.Background(), url, "a/#"); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	proxy.Reset()
	if _, err := b.Next(); err == nil || !strings.HasPrefix(err.Error(), "the connection to the broker ended: ") {
		t.Errorf("after the loss: %v", err)
	}
}
