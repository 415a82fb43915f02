package logbook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/logbook"
)

// sent is what went up: the texts of each batch, and when.
type sent struct {
	mu      sync.Mutex
	batches [][]string
	at      []time.Duration
	err     error
	start   time.Time
}

func (s *sent) send(_ context.Context, lines []logbook.Line) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	var texts []string
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	s.batches, s.at = append(s.batches, texts), append(s.at, time.Since(s.start))
	return nil
}

// fail has every batch refused from now on, nil none.
func (s *sent) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// shipping runs a shipper in a bubble, that begins after the lines early; end
// stops it and waits.
func shipping(t *testing.T, opts logbook.ShipOptions, early ...string) (log *slog.Logger, s *sent, end func() error) {
	t.Helper()
	book := logbook.New(logbook.Options{Level: slog.LevelDebug})
	s = &sent{start: time.Now()}
	log = text(book, io.Discard, slog.LevelInfo)
	for _, line := range early {
		log.Info(line)
	}
	opts.Send = s.send
	sh := book.Ship(opts)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sh.Run(ctx) }()
	return log, s, func() error { stop(); return <-ended }
}

// A batch goes when it is 30 s old, when it is full, and at the end.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, end := shipping(t, logbook.ShipOptions{}, "one")
		pass(20 * time.Second)
		log.Info("two")
		pass(20 * time.Second)
		if len(s.batches) != 1 || fmt.Sprint(s.batches[0]) != "[one two]" || s.at[0] != 30*time.Second {
			t.Fatalf("by time: %v at %v", s.batches, s.at)
		}
		for i := range 100 {
			log.Info(fmt.Sprintf("%d %s", i, strings.Repeat("z", 1000)))
		}
		synctest.Wait()
		for _, b := range s.batches[1:] {
			if n := len(strings.Join(b, "")); n > 16<<10 {
				t.Errorf("a batch of %d bytes", n)
			}
		}
		log.Info("last")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		all := slices.Concat(s.batches...)
		if all[len(all)-1] != "last" && !strings.HasPrefix(all[len(all)-1], "last") {
			t.Errorf("the end is %.40q", all[len(all)-1])
		}
		if at := s.at[len(s.at)-1]; at != 40*time.Second {
			t.Errorf("the end went up after %s", at)
		}
	})
}

// What goes up goes by the device's level, the function's rule, and never tells of
// the way up itself.
func TestRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, end := shipping(t, logbook.ShipOptions{
			Level: slog.LevelInfo, Own: []string{"otel"},
			Rules: func(function string) agent.LogRule {
				return map[string]agent.LogRule{
					"a/loud": {Sample: 10}, "a/off": {Off: true}, "a/quiet": {Stated: true, Level: slog.LevelError},
					"a/deep": {Stated: true, Level: slog.LevelDebug},
				}[function]
			},
		})
		for i := range 20 {
			log.Info("function says", "function", "a/loud", "event", "e", "text", fmt.Sprintf("loud %d", i))
		}
		log.Debug("function says", "function", "a/loud", "event", "e", "text", "below the device's level")
		log.Warn("function says", "function", "a/loud", "event", "e", "text", "loud warning")
		log.Error("function says", "function", "a/off", "event", "e", "text", "off")
		log.Warn("a function failed", "function", "a/quiet")
		log.Error("event dead-lettered", "function", "a/quiet")
		log.Debug("function says", "function", "a/deep", "event", "e", "text", "deep")
		log.With("target", "otel").Error("target fails")
		log.With("target", "faas").Error("target fails")
		log.Info("agent")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		want := "loud 0|loud 10|loud warning|event dead-lettered|deep|target fails|agent"
		if got := strings.Join(slices.Concat(s.batches...), "|"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// While batches cannot be taken over lines wait, up to a bound; those that find
// no room are counted, and the count goes up when there is a way.
func TestSendFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, s, end := shipping(t, logbook.ShipOptions{})
		s.fail(errors.New("the disk is full"))
		for i := range 1000 {
			log.Info(fmt.Sprintf("%d %s", i, strings.Repeat("z", 500)))
		}
		synctest.Wait()
		s.fail(nil)
		pass(61 * time.Second)
		all := slices.Concat(s.batches...)
		if len(all) < 50 || len(all) > 150 || !strings.HasPrefix(all[0], "0 ") {
			t.Errorf("%d lines went up", len(all))
		}
		i := slices.IndexFunc(all, func(s string) bool { return strings.HasSuffix(s, "came faster than they could be kept") })
		if i < 0 || !strings.HasPrefix(all[i], fmt.Sprint(1000-len(all)+1)) {
			t.Errorf("of %d lines that went up, number %d counts the others: %q", len(all), i, all[max(i, 0)])
		}
		s.fail(errors.New("still full"))
		log.Info("lost")
		if err := end(); err == nil || !strings.Contains(err.Error(), "still full") {
			t.Errorf("the end says %v", err)
		}
	})
}

// pass lets the time of a bubble go by until everything rests.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}
