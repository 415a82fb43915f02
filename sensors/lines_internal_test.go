package sensors

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// takeApart reads all lines, the unfinished one at the end too.
func takeApart(l *lines) (all []string) {
	for {
		line, err := l.next()
		if err != nil {
			if line = l.rest(); line != nil {
				all = append(all, string(line))
			}
			return all
		}
		all = append(all, string(line))
	}
}

func TestLines(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
		long int64
	}{
		{"a\nb\n", []string{"a", "b"}, 0},
		{"\n\r\n a\r\n\nb", []string{" a", "b"}, 0},
		{"12345678\n12345678\r\n123456789\nx\n", []string{"12345678", "12345678", "x"}, 1},
		{strings.Repeat("y", 100) + "\nx\n" + strings.Repeat("z", 100), []string{"x"}, 2},
		{"", nil, 0},
	} {
		for name, from := range map[string]io.Reader{
			"at once": strings.NewReader(tt.text), "in bits": iotest.OneByteReader(strings.NewReader(tt.text)),
		} {
			long := int64(0)
			l := &lines{from: from, max: 8, long: func() { long++ }}
			if got := takeApart(l); !slices.Equal(got, tt.want) || long != tt.long || l.at != int64(len(tt.text)) {
				t.Errorf("%.20q %s: %q, %d too long, %d bytes", tt.text, name, got, long, l.at)
			}
		}
	}
}

// TestLinesGoOn: what a reader has not got yet comes later.
func TestLinesGoOn(t *testing.T) {
	var file bytes.Buffer
	l := &lines{from: &file, max: 8}
	for _, step := range []struct{ text, want string }{{"a", ""}, {"b", ""}, {"\nc", "ab"}, {"", ""}, {"\n", "c"}} {
		file.WriteString(step.text)
		line, err := l.next()
		if string(line) != step.want || (line == nil) != errors.Is(err, io.EOF) {
			t.Errorf("after %q: %q, %v", step.text, line, err)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\nthree"), 5)
	f.Add(bytes.Repeat([]byte("x"), 100), 3)
	f.Fuzz(func(t *testing.T, text []byte, most int) {
		most = 1 + (most&0x7fffffff)%100
		var want []string
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 && len(line) <= most {
				want = append(want, string(line))
			}
		}
		for _, from := range []io.Reader{bytes.NewReader(text), iotest.HalfReader(bytes.NewReader(text))} {
			l := &lines{from: from, max: most}
			if got := takeApart(l); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if l.at != int64(len(text)) {
				t.Errorf("%d of %d bytes", l.at, len(text))
			}
		}
	})
}

func FuzzTailMark(f *testing.F) {
	f.Add("7 300 256 ff01")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseTailMark(text)
		if err != nil {
			return
		}
		if again, err := parseTailMark(m.String()); err != nil || again != m {
			t.Errorf("%q: %+v, then %+v, %v", text, m, again, err)
		}
	})
}
