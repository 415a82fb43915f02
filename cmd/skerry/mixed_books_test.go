package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// missing tells what has no outcome yet, alone or in a window.
func (b *mixedBooks) missing() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	came := map[string]bool{}
	for _, text := range b.came {
		came[text] = true
	}
	var lost []string
	for what := range b.accepted {
		if !came[what] {
			lost = append(lost, what)
		}
	}
	gathered, _ := b.windows()
	for what := range b.accepted {
		if n, ok := strings.CutPrefix(what, "m "); ok && gathered[n] == 0 {
			lost = append(lost, "the window of "+what)
		}
	}
	if len(lost) > 0 {
		slices.Sort(lost)
		return fmt.Errorf("of %d, %d have not come: %q", len(b.accepted), len(lost), lost[:min(len(lost), 10)])
	}
	return nil
}

// windowOf is what a window's event holds.
type windowOf struct {
	Kind, Key  string
	Start, End time.Time
	Count      int
	Late       bool
	Partial    bool
	Events     []struct {
		Topic string
		Data  struct{ N, At int64 }
	}
}

// windows counts in how many windows each message is, and tells what is wrong
// with them. The lock is held.
func (b *mixedBooks) windows() (times map[string]int, wrong []string) {
	times = map[string]int{}
	for _, text := range b.came {
		var win windowOf
		if text[0] != '{' || json.Unmarshal([]byte(text), &win) != nil {
			continue
		}
		if win.Count != len(win.Events) || win.Partial || win.End.Sub(win.Start) != mixedWindow {
			wrong = append(wrong, fmt.Sprintf("a window is %.200s", text))
		}
		for _, e := range win.Events {
			times[strconv.FormatInt(e.Data.N, 10)]++
			at := time.UnixMilli(e.Data.At)
			if at.Before(win.Start) || !at.Before(win.End) || e.Topic != "m/"+win.Key || !at.Equal(b.at[int(e.Data.N)]) {
				wrong = append(wrong, fmt.Sprintf("message %d of %s is in the window of %s from %s", e.Data.N, at, win.Key, win.Start))
			}
		}
	}
	return times, wrong
}

// ticks are the due times that came, in order.
func (b *mixedBooks) ticks() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	due := map[time.Time]bool{}
	for _, text := range b.came {
		if rest, ok := strings.CutPrefix(text, "s "); ok {
			at, err := time.Parse(time.RFC3339Nano, rest)
			if err != nil {
				b.wrong = append(b.wrong, err.Error())
			}
			due[at] = true
		}
	}
	return slices.SortedFunc(maps.Keys(due), time.Time.Compare)
}

// audit compares the books.
func (w *mixedWorld) audit(kills int) {
	w.t.Helper()
	ticks := w.ticks()
	w.mu.Lock()
	defer w.mu.Unlock()
	gathered, wrong := w.windows()
	for n, times := range gathered {
		if times != 1 {
			wrong = append(wrong, fmt.Sprintf("message %s is in %d windows", n, times))
		}
	}
	ids := map[string]int{}
	for _, text := range w.came {
		if text[0] != '{' {
			ids[text]++
		}
	}
	for text, n := range ids {
		if n != 1 {
			wrong = append(wrong, fmt.Sprintf("%q has %d outcomes", text, n))
		}
	}
	for i := 1; i < len(ticks); i++ {
		if gap := ticks[i].Sub(ticks[i-1]); gap != mixedTick {
			wrong = append(wrong, fmt.Sprintf("tick %s comes %s after the one before", ticks[i], gap))
		}
	}
	for _, text := range slices.Concat(w.wrong, wrong)[:min(20, len(w.wrong)+len(wrong))] {
		w.t.Error(text)
	}
	counts := map[string]int{}
	for what := range w.accepted {
		counts[what[:1]]++
	}
	w.t.Logf("%d kills: %d messages, %d requests, %d lines, %d files accepted, %d ticks without a gap, %d windows",
		kills, counts["m"], counts["h"], counts["t"], counts["f"], len(ticks), len(w.came)-len(ids))
	for _, kind := range []string{"m", "h", "t", "f"} {
		if counts[kind] == 0 {
			w.t.Errorf("nothing was accepted of kind %s", kind)
		}
	}
}
