package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// lineKeeper keeps the lines that are written to it.
type lineKeeper struct{ buf bytes.Buffer }

func (k *lineKeeper) Write(p []byte) (int, error) { return k.buf.Write(p) }

// Of a difference is shown at most so much.
const (
	shownLines = 20
	lookAhead  = 200 // lines, for where both go on alike
)

// compare tells how the effects differ from what was expected.
func (s *sink) compare(said io.Writer) error {
	if s.expect == "" {
		return nil
	}
	text, err := os.ReadFile(s.expect)
	if err != nil {
		return fmt.Errorf("--expect: %w", err)
	}
	diff := diffLines(splitLines(text), splitLines(s.lines.buf.Bytes()))
	if len(diff) == 0 {
		fmt.Fprintf(said, "the effects are those of %s\n", s.expect)
		return nil
	}
	more := len(diff) - shownLines
	fmt.Fprintln(said, strings.Join(diff[:min(len(diff), shownLines)], "\n"))
	if more > 0 {
		fmt.Fprintf(said, "… and %d lines more\n", more)
	}
	return fmt.Errorf("the effects are not those of %s: - was expected, + came instead; if this is right, write it with --effects %s", s.expect, s.expect)
}

func splitLines(text []byte) []string {
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// diffLines gives the lines that only one side has, "-" before those of want and
// "+" before those of got, with the number of the line on that side.
func diffLines(want, got []string) (diff []string) {
	for i, j := 0, 0; i < len(want) || j < len(got); {
		if i < len(want) && j < len(got) && want[i] == got[j] {
			i, j = i+1, j+1
			continue
		}
		di, dj := meet(want[i:], got[j:])
		for _, line := range want[i : i+di] {
			i++
			diff = append(diff, fmt.Sprintf("-%d: %s", i, line))
		}
		for _, line := range got[j : j+dj] {
			j++
			diff = append(diff, fmt.Sprintf("+%d: %s", j, line))
		}
	}
	return diff
}

// meet tells how many lines each side has before both go on alike.
func meet(a, b []string) (int, int) {
	na, nb := min(len(a), lookAhead), min(len(b), lookAhead)
	for sum := range na + nb {
		for i := max(0, sum-nb+1); i < min(na, sum+1); i++ {
			if a[i] == b[sum-i] {
				return i, sum - i
			}
		}
	}
	if len(a) > na || len(b) > nb { // nowhere near: line against line
		return na, nb
	}
	return len(a), len(b)
}
