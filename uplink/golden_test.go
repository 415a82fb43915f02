package uplink_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/uplink"
)

// What goes over the wire, byte for byte, stands in testdata/*.http.
func TestGoldenRequests(t *testing.T) {
	clock := func() time.Time { return sample().Event.Time }
	for _, tt := range []struct {
		name string
		open func(base string) (uplink.Target, error)
	}{
		{"cloudevents", func(base string) (uplink.Target, error) {
			return uplink.NewCloudEvents(uplink.HTTPOptions{URL: base + "/in", Token: "secret"})
		}},
		{"http", func(base string) (uplink.Target, error) {
			return uplink.NewHTTP(uplink.HTTPOptions{
				URL: base + "/in?a=b", Method: "put", Username: "gw7", Password: "pass", Headers: []string{"X-Site: 7"},
			})
		}},
		{"lambda", func(base string) (uplink.Target, error) {
			return uplink.NewLambda(uplink.LambdaOptions{
				Function: "plant:prod", Region: "us-west-1", Endpoint: base, AccessKeyID: "AKIDEXAMPLE",
				SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "TOKEN", Now: clock,
			})
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			far := listen(t)
			target, err := tt.open("http://" + far.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			wire := make(chan []byte, 1)
			go func() { wire <- answerOne(far, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") }()
			rec := sample()
			rec.Event.Unsure = true
			if err := target.Send(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			raw := <-wire
			if up := target.(interface{ BytesUp() int64 }).BytesUp(); up != int64(len(raw)) {
				t.Errorf("BytesUp %d, but %d bytes arrived", up, len(raw))
			}
			compareGolden(t, tt.name, raw, far.Addr().String())
		})
	}
}

// compareGolden hides what differs from run to run: the port, and the
// signature that covers it. UPDATE_GOLDEN=1 writes the file.
func compareGolden(t *testing.T, name string, raw []byte, addr string) {
	t.Helper()
	got := strings.ReplaceAll(string(raw), addr, "far.example")
	got = strings.ReplaceAll(got, "\r\n", "\n") + "\n"
	if i := strings.Index(got, "Signature="); i >= 0 {
		got = got[:i] + "Signature=…" + got[i+len("Signature=")+64:]
	}
	file := filepath.Join("testdata", name+".http")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; make it with: UPDATE_GOLDEN=1 go test ./uplink -run Golden", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", file, got, want)
	}
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// answerOne reads one request from one connection and answers it; it returns
// the request's bytes, nil if the listener was closed.
func answerOne(l net.Listener, answer string) []byte {
	c, err := l.Accept()
	if err != nil {
		return nil
	}
	defer c.Close()
	var raw bytes.Buffer
	req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &raw)))
	if err != nil {
		return nil
	}
	io.Copy(io.Discard, req.Body) // the request's end decides, not the copy's error
	io.WriteString(c, answer)     // a client that is gone fails its own test
	return raw.Bytes()
}
