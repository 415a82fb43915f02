package logbook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/skerry-edge/skerry/internal/logbook"
)

// text is a logger of book whose own log goes to w, without the time.
func text(book *logbook.Book, w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(book.Handler(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey && len(groups) == 0 {
				return slog.Attr{}
			}
			return a
		},
	})))
}

// ring is what the book holds now, as text.
func ring(t *testing.T, book *logbook.Book, f logbook.Filter) []string {
	t.Helper()
	r := book.Read(f, false)
	defer r.Close()
	lines, _, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range lines {
		out = append(out, lines[i].String())
	}
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A run shows its first line at once and its last with the count when the window
// ends; other lines pass in between, in the ring as in the process's own log.
func TestFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var own bytes.Buffer
		book := logbook.New(logbook.Options{})
		log := text(book, &own, slog.LevelInfo)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan bool)
		go func() { book.Run(ctx); close(ended) }()
		for i := range 42 {
			log.Warn("a function failed", "function", "a/f", "event", fmt.Sprint(i), "err", "no luck")
			if i == 20 {
				log.Info("other")
			}
			pass(100 * time.Millisecond)
		}
		synctest.Wait()
		equal(t, "in the window", ring(t, book, logbook.Filter{}), []string{
			"WARN a function failed function=a/f event=0 err=\"no luck\"", "INFO other",
		})
		pass(10 * time.Second)
		log.Warn("a function failed", "function", "a/f", "event", "last", "err", "no luck")
		stop()
		<-ended
		equal(t, "all", ring(t, book, logbook.Filter{}), []string{
			"WARN a function failed function=a/f event=0 err=\"no luck\"", "INFO other",
			"WARN a function failed function=a/f event=41 err=\"no luck\" … repeated 41 times in 4.1s",
			"WARN a function failed function=a/f event=last err=\"no luck\"", // one more is no run
		})
		equal(t, "own log", strings.Split(strings.TrimSpace(own.String()), "\n"), []string{
			`level=WARN msg="a function failed" function=a/f event=0 err="no luck"`,
			`level=INFO msg=other`,
			`level=WARN msg="a function failed" function=a/f event=41 err="no luck" repeated=41 within=4.1s`,
			`level=WARN msg="a function failed" function=a/f event=last err="no luck"`,
		})
	})
}

// A line that never stops is shown once in a window, and a run that stopped is
// forgotten: its next line is shown at once.
func TestFoldForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := logbook.New(logbook.Options{})
		log := text(book, io.Discard, slog.LevelInfo)
		go book.Run(t.Context())
		for range 300 {
			log.Info("tick")
			pass(100 * time.Millisecond)
		}
		pass(25 * time.Second)
		if got := ring(t, book, logbook.Filter{}); len(got) != 4 || !strings.HasPrefix(got[1], "INFO tick … repeated ") {
			t.Errorf("30 s of a line are:\n%s", strings.Join(got, "\n"))
		}
		log.Info("tick")
		if got := ring(t, book, logbook.Filter{}); len(got) != 5 || got[4] != "INFO tick" {
			t.Errorf("after a pause:\n%s", strings.Join(got, "\n"))
		}
	})
}

// A function that says something else each time fills neither the journal nor the
// memory, and the last thing it said is not lost. Others are not affected.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var own bytes.Buffer
		book := logbook.New(logbook.Options{})
		log := text(book, &own, slog.LevelInfo)
		for i := range 200_000 {
			log.Info("function says", "function", "a/chatty", "event", "e", "text", fmt.Sprintf("line %d %s", i, strings.Repeat("x", 100)))
		}
		log.Info("function says", "function", "a/calm", "event", "e", "text", "here I am")
		book.Flush()
		lines := strings.Split(strings.TrimSpace(own.String()), "\n")
		if len(lines) > 1100 || !strings.Contains(lines[0], "line 0 ") {
			t.Errorf("%d lines, the first is %q", len(lines), lines[0])
		}
		if all := own.String(); !strings.Contains(all, "line 199999 ") || !strings.Contains(all, "more_lines=198999") || !strings.Contains(all, "here I am") {
			t.Errorf("the end is\n%s", strings.Join(lines[len(lines)-3:], "\n"))
		}
		if got := ring(t, book, logbook.Filter{Function: "a/calm"}); len(got) != 1 || got[0] != "INFO a/calm: here I am" {
			t.Errorf("the other function: %q", got)
		}
	})
}

// The ring forgets the oldest lines, and holds what no window has room for.
func TestRingIsBounded(t *testing.T) {
	book := logbook.New(logbook.Options{Ring: 64 << 10})
	log := text(book, io.Discard, slog.LevelInfo)
	long := strings.Repeat("y", 4<<10)
	for i := range 500 {
		log.Info(fmt.Sprintf("%d %s", i, long))
	}
	got := ring(t, book, logbook.Filter{})
	if n := len(got); n < 10 || n > 16 || !strings.HasPrefix(got[n-1], "INFO 499 ") {
		t.Errorf("%d lines, the last: %.20s", n, got[n-1])
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 20_000 { // two of each: the second waits for its window
		log.Info(fmt.Sprintf("%d %s", i/2, long))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("lines hold %d bytes more", grown)
	}
	book.Flush()
}

func TestFilterAndLevels(t *testing.T) {
	var own bytes.Buffer
	book := logbook.New(logbook.Options{Level: slog.LevelDebug})
	log := text(book, &own, slog.LevelWarn)
	log.Debug("function says", "function", "shop/till", "event", "e7", "text", "deep\x1b[31m\u202egnp\u2066")
	log.With("target", "cloud").WithGroup("g").Warn("target fails", "n", 3, slog.Group("in", "a", "b c"))
	log.Error("a function failed", "function", "shop/door", "err", io.ErrUnexpectedEOF)
	log.Info("function says", "function", "shopping/x", "event", "e", "text", "")
	for _, tt := range []struct {
		f    logbook.Filter
		want []string
	}{
		{logbook.Filter{}, []string{`WARN target fails target=cloud g.n=3 g.in.a="b c"`, `ERROR a function failed function=shop/door err="unexpected EOF"`, "INFO shopping/x: "}},
		{logbook.Filter{Level: slog.LevelDebug, Function: "shop"}, []string{"DEBUG shop/till: deep [31m gnp ", `ERROR a function failed function=shop/door err="unexpected EOF"`}},
		{logbook.Filter{Level: slog.LevelDebug, Function: "shop/till"}, []string{"DEBUG shop/till: deep [31m gnp "}},
		{logbook.Filter{Since: time.Now().Add(time.Hour)}, nil},
	} {
		equal(t, fmt.Sprintf("%+v", tt.f), ring(t, book, tt.f), tt.want)
	}
	if n := strings.Count(own.String(), "\n"); n != 2 {
		t.Errorf("the own log is at warn and got:\n%s", own.String())
	}
}

// A reader that does not read loses lines, and is told how many; nobody waits.
func TestSlowReader(t *testing.T) {
	book := logbook.New(logbook.Options{})
	log := text(book, io.Discard, slog.LevelInfo)
	r := book.Read(logbook.Filter{}, true)
	defer r.Close()
	for i := range 4000 {
		log.Info(fmt.Sprintf("%d", i), "function", fmt.Sprint("f", i%10), "much", strings.Repeat("m", 1000))
	}
	lines, missing, err := r.Next(t.Context())
	if err != nil || len(lines)+missing != 4000 || missing == 0 || lines[0].Text != "0" {
		t.Errorf("%d lines and %d missing: %v", len(lines), missing, err)
	}
	log.Info("more")
	if lines, missing, err = r.Next(t.Context()); err != nil || missing != 0 || len(lines) != 1 || lines[0].Text != "more" {
		t.Errorf("then %d lines and %d missing: %v", len(lines), missing, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, _, err := r.Next(ctx); err == nil {
		t.Error("an ended context is no error")
	}
}

func TestLineAsJSON(t *testing.T) {
	in := logbook.Line{
		Time: time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC), Level: slog.LevelWarn, Text: "a", Function: "b/c",
		Attrs: logbook.Attrs{{"z", `"`}, {"a", "2"}}, Repeated: 3, Within: time.Second,
	}
	b, err := json.Marshal(in)
	want := `{"time":"2026-05-01T08:00:00Z","level":"WARN","function":"b/c","text":"a","attrs":{"z":"\"","a":"2"},"repeated":3,"within_ns":1000000000}`
	if err != nil || string(b) != want {
		t.Fatalf("%s: %v", b, err)
	}
	var out logbook.Line
	if err := json.Unmarshal(b, &out); err != nil || fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("%+v: %v", out, err)
	}
	for _, bad := range []string{`{"attrs":[]}`, `{"attrs":{"a":{}}}`, `{"attrs":"x"}`} {
		if json.Unmarshal([]byte(bad), &out) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	for _, same := range []bool{true, false} {
		b.Run(fmt.Sprintf("same=%v", same), func(b *testing.B) {
			log := text(logbook.New(logbook.Options{}), io.Discard, slog.LevelInfo)
			i := 0
			for b.Loop() {
				if !same {
					i++
				}
				log.Info("function says", "function", "a/b", "event", "e", "text", i)
			}
		})
	}
	b.Run("slog alone", func(b *testing.B) {
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		for b.Loop() {
			log.Info("function says", "function", "a/b", "event", "e", "text", 1)
		}
	})
}
