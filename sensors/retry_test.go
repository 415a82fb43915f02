package sensors

import (
	"errors"
	"io"
	"syscall"
	"testing"
	"time"
)

// TestRivalsBackOff has two sources of one client id fight for ten minutes:
// each connects after its pause, and the other one's connection ends then.
func TestRivalsBackOff(t *testing.T) {
	type gateway struct {
		retry
		at time.Duration // of its last connection, or of its next one
	}
	up, down := &gateway{retry: newRetry()}, &gateway{retry: newRetry()}
	connections := 0
	for down.at < 10*time.Minute {
		connections++
		now := down.at
		pause, lasted := up.lost(max(now-up.at, 1), io.EOF)
		if lasted {
			t.Fatalf("connection %d of %s seemed to last", connections, now-up.at)
		}
		up.at = now + pause
		up, down = down, up
	}
	if connections > 50 || up.backoff != lastBackoff || down.backoff != lastBackoff {
		t.Errorf("%d connections in ten minutes, backoffs %s and %s", connections, up.backoff, down.backoff)
	}
	if !up.rival || !down.rival {
		t.Errorf("rivals noticed: %v and %v", up.rival, down.rival)
	}
}

func TestRivalIsNoticedAndForgotten(t *testing.T) {
	type loss struct {
		up   time.Duration
		why  error
		want bool // there is a rival
	}
	refused := errors.New("connection refused")
	for name, losses := range map[string][]loss{
		"three in a row": {{1, io.EOF, false}, {time.Second, io.EOF, false}, {5 * time.Second, io.EOF, true}},
		"never made between": {
			{1, io.EOF, false},
			{0, refused, false},
			{1, io.EOF, false},
			{0, refused, false},
			{1, io.EOF, true},
		},
		"longer between":    {{1, io.EOF, false}, {1, io.EOF, false}, {6 * time.Second, io.EOF, false}, {1, io.EOF, false}},
		"agent cannot cope": {{1, errFull, false}, {1, errFull, false}, {1, errFull, false}, {1, errFull, false}},
		"broker is away":    {{0, refused, false}, {0, refused, false}, {0, refused, false}, {0, refused, false}},
		"broker restarts":   {{1, io.EOF, false}, {0, syscall.ECONNREFUSED, false}, {1, io.EOF, false}, {0, syscall.ECONNREFUSED, false}, {1, io.EOF, false}, {1, io.EOF, false}},
		"one lasts":         {{1, io.EOF, false}, {1, io.EOF, false}, {1, io.EOF, true}, {9 * time.Second, io.EOF, true}, {time.Hour, io.EOF, false}, {1, io.EOF, false}},
	} {
		r := newRetry()
		for i, l := range losses {
			if r.lost(l.up, l.why); r.rival != l.want {
				t.Errorf("%s: after loss %d a rival is %v, want %v", name, i, r.rival, l.want)
			}
		}
	}
}

func TestNoteOfARivalGoesWhenAConnectionLasts(t *testing.T) {
	m, err := NewMQTT(MQTTOptions{Name: "plant", Device: "gw7", URL: "tcp://127.0.0.1:1", Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	for range shortLives {
		m.lost(time.Second, io.EOF)
	}
	const want = `the broker ends the connection right after it is made, again and again: another client may use the client id "skerry-gw7-plant"; is device.id unique?`
	if got := m.Status().Note; got != want {
		t.Errorf("note %q, want %q", got, want)
	}
	for ago, want := range map[time.Duration]string{time.Second: want, time.Minute: ""} {
		l := newLink(m, nil)
		l.since = time.Now().Add(-ago)
		m.link.Store(l)
		if got := m.Status().Note; got != want {
			t.Errorf("note %q after %s of connection, want %q", got, ago, want)
		}
	}
}
