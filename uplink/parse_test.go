package uplink

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// In package uplink: both parsers read strangers' bytes and are not exported.

func TestRetryAfter(t *testing.T) {
	server := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	date := server.Format(http.TimeFormat)
	in := func(d time.Duration) string { return server.Add(d).Format(http.TimeFormat) }
	for _, tt := range []struct {
		value, date string
		clock       time.Time
		want        time.Duration
	}{
		{"7", date, server, 7 * time.Second},
		{" 7 ", date, server, 7 * time.Second},
		{"0", date, server, 0},
		{"3600", date, server, time.Hour},
		{"31536000", date, server, time.Hour},            // a year
		{"9223372036854775807", date, server, time.Hour}, // would overflow
		{"99999999999999999999999999", date, server, time.Hour},
		{"-1", date, server, 0},
		{"+5", date, server, 0},
		{"1.5", date, server, 0},
		{"soon", date, server, 0},
		{"", date, server, 0},
		{in(30 * time.Second), date, server, 30 * time.Second},
		{in(30 * time.Second), date, time.Unix(0, 0), 30 * time.Second},          // gateway in 1970
		{in(30 * time.Second), date, server.AddDate(50, 0, 0), 30 * time.Second}, // gateway in the future
		{in(30 * time.Second), "", time.Unix(0, 0), time.Hour},                   // nothing to compare with
		{in(30 * time.Second), "", server, 30 * time.Second},
		{in(-time.Hour), date, server, 0},
		{"Tue, 19 Jan 2038 03:14:08 GMT", date, server, time.Hour},
	} {
		h := http.Header{"Retry-After": {tt.value}, "Date": {tt.date}}
		if got := retryAfter(h, tt.clock); got != tt.want {
			t.Errorf("Retry-After %q, Date %q, clock %v: %v, want %v", tt.value, tt.date, tt.clock, got, tt.want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "", int64(0))
	f.Add("9223372036854775807", "x", int64(1))
	f.Add("Tue, 19 Jan 2038 03:14:08 GMT", "Sat, 21 Nov 2026 02:00:00 GMT", int64(1790000000))
	f.Fuzz(func(t *testing.T, value, date string, clock int64) {
		got := retryAfter(http.Header{"Retry-After": {value}, "Date": {date}}, time.Unix(clock, 0))
		if got < 0 || got > maxRetryAfter {
			t.Errorf("Retry-After %q waits %v", value, got)
		}
	})
}

func TestEncodeHeader(t *testing.T) {
	for in, want := range map[string]string{
		"plant/7":   "plant/7",
		"":          "",
		"a b":       "a%20b",
		`"50%"`:     "%2250%25%22",
		"Öl":        "%C3%96l",
		"€ 😀":       "%E2%82%AC%20%F0%9F%98%80", // the examples of the binding
		"a\r\nb: c": "a%0D%0Ab:%20c",
		"\xff":      "%FF",
	} {
		if got := encodeHeader(in); got != want {
			t.Errorf("encodeHeader(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzEncodeHeader(f *testing.F) {
	f.Add("plant/7")
	f.Add("€ 😀\r\n%\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := encodeHeader(s)
		for _, c := range []byte(got) {
			if c <= ' ' || c >= 0x7f || c == '"' {
				t.Fatalf("encodeHeader(%q) = %q holds %#x", s, got, c)
			}
		}
		if back, err := url.PathUnescape(got); err != nil || back != s {
			t.Errorf("encodeHeader(%q) = %q, which reads %q, %v", s, got, back, err)
		}
	})
}
