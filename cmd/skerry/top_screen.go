package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// topScreen is skerry top on a terminal.
type topScreen struct {
	opts    *topOptions
	in, out *os.File
	last    *sample
	table   topTable
	away    string // why the agent did not answer, "" if it did

	sort, filter string
	typing       bool // the filter
	paused, help bool
	open         bool // the whole note of the chosen row is shown
	view         int  // 0: all tables, else one of them
	chosen       int  // row, over all tables that are shown
	top          int  // first line of the tables that is shown
}

func newTopScreen(o *topOptions, in, out *os.File, first *sample) *topScreen {
	return &topScreen{opts: o, in: in, out: out, last: first, table: tableOf(&sample{}, first), sort: o.sort, filter: o.filter}
}

// What a terminal is told: another screen without a cursor, and back.
const (
	screenOn  = "\x1b[?1049h\x1b[?25l"
	screenOff = "\x1b[?25h\x1b[?1049l"
)

// run draws until q, Ctrl-C or ctx, and leaves the terminal as it was, also when it
// panics.
func (s *topScreen) run(ctx context.Context) error {
	was, err := term.GetState(int(s.in.Fd()))
	leave := func() {
		io.WriteString(s.out, screenOff)
		term.Restore(int(s.in.Fd()), was) // nothing more can be done
	}
	if err == nil {
		defer leave()
		err = s.enter()
	}
	if err != nil {
		return fmt.Errorf("use the terminal: %w; skerry top --once prints a table", err)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH, unix.SIGCONT)
	defer signal.Stop(changed)
	keys, polled := readKeys(ctx, s.in), s.polls(ctx)
	for {
		s.draw()
		select {
		case <-ctx.Done():
			return nil
		case p := <-polled:
			s.take(p)
		case sig := <-changed:
			if sig == unix.SIGCONT { // a shell has had the terminal
				err = s.enter()
			}
		case key, ok := <-keys:
			switch {
			case !ok || s.press(key):
				return nil
			case key == "\x1a": // Ctrl-Z
				leave()
				err = errors.Join(unix.Kill(0, unix.SIGSTOP), s.enter())
			}
		}
		if err != nil {
			return err
		}
	}
}

// enter takes the terminal: keys come as they are pressed, and nothing else is shown.
func (s *topScreen) enter() error {
	if _, err := term.MakeRaw(int(s.in.Fd())); err != nil {
		return err
	}
	_, err := io.WriteString(s.out, screenOn)
	return err
}

// readKeys gives what is typed, a key or the escape sequence of one at a time. The
// channel ends with the input. The reader ends with the program: a terminal cannot be
// told to stop waiting.
func readKeys(ctx context.Context, in io.Reader) <-chan string {
	keys := make(chan string)
	go func() {
		defer close(keys)
		buf := make([]byte, 64)
		for {
			n, err := in.Read(buf)
			if err != nil {
				return
			}
			for _, key := range splitKeys(string(buf[:n])) {
				select {
				case keys <- key:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return keys
}

// splitKeys takes what came at once apart. An escape sequence ends with a letter or ~.
func splitKeys(text string) (keys []string) {
	for text != "" {
		n := 1
		switch {
		case len(text) > 2 && text[0] == 0x1b && (text[1] == '[' || text[1] == 'O'):
			n = 2
			for n < len(text) && (text[n] < '@' || text[n] > '~') {
				n++
			}
			n = min(n+1, len(text))
		case text[0] != 0x1b:
			_, n = utf8.DecodeRuneInString(text)
		}
		keys, text = append(keys, text[:n]), text[n:]
	}
	return keys
}

// polledSample is a poll's answer, or why there is none.
type polledSample struct {
	*sample
	err error
}

func (s *topScreen) polls(ctx context.Context) <-chan polledSample {
	answers := make(chan polledSample)
	go func() {
		wait := min(s.opts.every, 500*time.Millisecond) // the first rates come soon
		for pause(ctx, wait) {
			now, err := s.opts.poll(ctx)
			select {
			case answers <- polledSample{now, err}:
			case <-ctx.Done():
			}
			wait = s.opts.every
		}
	}()
	return answers
}

func (s *topScreen) take(p polledSample) {
	if p.err != nil {
		s.away = oneSentence(p.err)
		return
	}
	s.away = ""
	if !s.paused {
		s.table, s.last = tableOf(s.last, p.sample), p.sample
	}
}

// press does what a key asks for, and tells whether that is to end.
func (s *topScreen) press(key string) (end bool) {
	switch {
	case key == "\x03":
		return true
	case s.typing:
		s.typed(key)
		return false
	case s.help:
		s.help = false
		return key == "q"
	}
	page := max(1, s.room()-2)
	switch key {
	case "q":
		return true
	case "?", "h":
		s.help = true
	case " ":
		s.paused = !s.paused
	case "s":
		s.sort = topSorts[(slices.Index(topSorts, s.sort)+1)%len(topSorts)]
	case "/":
		s.typing, s.filter, s.chosen = true, "", 0
	case "\x1b":
		s.filter, s.open = "", false
	case "\r", "\n":
		s.open = !s.open
	case "\x1b[A", "\x1bOA", "k":
		s.chosen--
	case "\x1b[B", "\x1bOB", "j":
		s.chosen++
	case "\x1b[5~":
		s.chosen -= page
	case "\x1b[6~":
		s.chosen += page
	case "\x1b[H", "\x1bOH", "\x1b[1~", "g":
		s.chosen = 0
	case "\x1b[F", "\x1bOF", "\x1b[4~", "G":
		s.chosen = 1 << 30
	case "\x1b[C", "\x1bOC", "\t":
		s.view, s.chosen = (s.view+1)%4, 0
	case "\x1b[D", "\x1bOD":
		s.view, s.chosen = (s.view+3)%4, 0
	}
	return false
}

// typed goes on with the filter.
func (s *topScreen) typed(key string) {
	switch {
	case key == "\r" || key == "\n":
		s.typing = false
	case key == "\x1b":
		s.typing, s.filter = false, ""
	case key == "\x7f" || key == "\b":
		_, size := utf8.DecodeLastRuneInString(s.filter)
		s.filter = s.filter[:len(s.filter)-size]
	case !strings.HasPrefix(key, "\x1b") && key >= " ":
		s.filter += plainText([]byte(key))
	}
}
