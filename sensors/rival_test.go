package sensors_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// logLines collects what sources log.
type logLines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// with counts the lines that have all the words.
func (l *logLines) with(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for line := range strings.Lines(l.buf.String()) {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		n++
	}
	return n
}

func TestTwoSourcesOfOneClientID(t *testing.T) {
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{})
	const want = `the broker ends the connection right after it is made, again and again: another client may use the client id "skerry-gw7-plant"; is device.id unique?`
	var sources []*sensors.MQTT
	logs := []*logLines{{}, {}}
	for _, lines := range logs {
		src := newMQTT(t, broker.URL, func(o *sensors.MQTTOptions) { o.Log = slog.New(slog.NewTextHandler(lines, nil)) })
		src.Follow(triggers("a/#"))
		start(t, src, &sink{keep: true})
		sources = append(sources, src)
	}
	for _, src := range sources {
		noted(t, src, "the rival is named", func(note string) bool { return note == want })
	}
	testbed.Eventually(t, patience, "the fight goes on", func() error {
		if n := logs[0].with("connected to the broker"); n < 5 {
			return fmt.Errorf("%d connections", n)
		}
		return nil
	})
	for i, lines := range logs {
		if n := lines.with("level=WARN", "another client may use the same client id", "skerry-gw7-plant"); n != 1 {
			t.Errorf("source %d warned %d times, want once", i, n)
		}
		if note := sources[i].Status().Note; note != want {
			t.Errorf("source %d is noted as %q while the fight goes on", i, note)
		}
	}
}
