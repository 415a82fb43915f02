package uplink

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"
)

// FuzzPartial reads answers of strangers.
func FuzzPartial(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 'n', 'o'})
	f.Add([]byte("<html>"))
	f.Add([]byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, answer []byte) {
		rejected, words := partial(answer)
		if rejected == 0 && len(words) > len(answer) {
			t.Errorf("%q says %q", answer, words)
		}
	})
}

func TestPartial(t *testing.T) {
	for _, tt := range []struct {
		answer   []byte
		rejected int64
		words    string
	}{
		{nil, 0, ""},
		{[]byte{0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 'n', 'o'}, 3, "no"},
		{[]byte{0x0a, 0x06, 0x08, 0x03, 0x12, 0x02, 'n', 'o', 0x12}, 0, ""}, // cut
		{[]byte{0x0a, 0x02, 0x12, 0x07}, 0, ""},                             // cut within
		{[]byte{0x10, 0x07, 0x0a, 0x02, 0x08, 0x01}, 1, ""},                 // after a field of a later version
	} {
		if n, words := partial(tt.answer); n != tt.rejected || words != tt.words {
			t.Errorf("%x is %d %q, want %d %q", tt.answer, n, words, tt.rejected, tt.words)
		}
	}
}

// A batch of 100 lines takes 20 bytes a line; the same as JSON, 5 % more (and
// a single line, 28 %), which is why it is not JSON.
func TestLogsAreSmall(t *testing.T) {
	var lines []OTLPLog
	for range 100 {
		lines = append(lines, OTLPLog{Scope: "skerry.function", Body: "temperature of sensor s7 above the limit", Attrs: []OTLPAttr{{"faas.name", "overheat/alarm"}}})
	}
	packed := OTLPLogs(OTLPResource("gw7", "1.2.3", nil), lines)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil || len(packed) > 500 || len(raw) < 8000 {
		t.Errorf("%d bytes of %d: %v", len(packed), len(raw), err)
	}
}
