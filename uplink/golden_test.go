package uplink_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/uplink"
)

// goldens are requests of each kind; those of a kind begin with its name.
var goldens = []struct {
	file string // in testdata, without .http
	set  func(*uplink.TargetConfig)
}{
	{"azure", nil},
	{"azure-admin", func(c *uplink.TargetConfig) { c.URL, c.Function = base(c.URL), "alarm" }},
	{"cloudevents", func(c *uplink.TargetConfig) { c.Token = "secret" }},
	{"cloudevents-structured", func(c *uplink.TargetConfig) { c.Format = "structured" }},
	{"cloudevents-batch", func(c *uplink.TargetConfig) { c.Batch = 10 }},
	{"fission", func(c *uplink.TargetConfig) { c.URL += "/alarm"; c.Function = "" }},
	{"fission-function", func(c *uplink.TargetConfig) { c.Namespace = "plant"; c.Mode = "sync" }},
	{"fn", nil},
	{"fn-trigger", func(c *uplink.TargetConfig) { c.Function, c.Path = "", "/t/plant/alarm" }},
	{"gcf", nil},
	{"gcf-binary", func(c *uplink.TargetConfig) { c.Format = "binary" }},
	{"hookio", func(c *uplink.TargetConfig) { c.Path = "/{device}" }},
	{"http", func(c *uplink.TargetConfig) {
		c.URL += "?a=b"
		c.Method, c.Username, c.Password, c.Headers = "put", "gw7", "pass", []string{"X-Site: 7"}
	}},
	{"http-path", func(c *uplink.TargetConfig) {
		c.Method, c.Path, c.Trace = "PATCH", "/{device}/{subject}/{key...}", true
		c.Payload = `{"degrees": "${data.t}", "at": "${time}"}`
		c.Auth, c.AuthHeader, c.Token = "header", "X-Api-Key", "key"
	}},
	{"http-batch", func(c *uplink.TargetConfig) { c.Batch = 10 }},
	{"http-ndjson", func(c *uplink.TargetConfig) { c.Batch, c.Format = 10, "ndjson" }},
	{"http-hmac", func(c *uplink.TargetConfig) { c.URL += "?a=b"; c.Auth, c.Secret = "hmac", "secret" }},
	{"ifttt", nil},
	{"ifttt-json", func(c *uplink.TargetConfig) { c.Format = "json" }},
	{"kubeless", nil},
	{"lambda", func(c *uplink.TargetConfig) { c.Function, c.SessionToken = "plant:prod", "TOKEN" }},
	{"lambda-sync", func(c *uplink.TargetConfig) {
		c.Function, c.Region = "arn:aws:lambda:us-west-1:123456789012:function:plant", ""
		c.Mode, c.Trace, c.Payload = "sync", true, `{"degrees": "${data.t}"}`
	}},
	{"lambda-url", func(c *uplink.TargetConfig) { c.Path = "/{device}" }},
	{"lambda-url-open", func(c *uplink.TargetConfig) {
		c.Auth, c.Region, c.AccessKeyID, c.SecretAccessKey = "", "", "", ""
	}},
	{"nuclio", func(c *uplink.TargetConfig) {
		c.Namespace, c.Path, c.InvokeURL, c.Timeout = "plant", "/{device}", "http://nuclio-alarm:8080", 5*time.Second
	}},
	{"nuclio-trigger", func(c *uplink.TargetConfig) { c.Function = "" }},
	{"openfaas", func(c *uplink.TargetConfig) { c.Callback = "https://central.example/done" }},
	{"openfaas-sync", func(c *uplink.TargetConfig) { c.Mode = "sync" }},
	{"openlambda", nil},
	{"openwhisk", nil},
	{"openwhisk-action", func(c *uplink.TargetConfig) {
		c.Trigger, c.Action, c.Namespace, c.Payload = "", "plant/alarm", "guest", `"${data.t}"`
	}},
	{"openwhisk-blocking", func(c *uplink.TargetConfig) { c.Trigger, c.Action, c.Mode = "", "alarm", "sync" }},
	{"picasso", nil},
	{"picasso-private", func(c *uplink.TargetConfig) { c.Namespace, c.Token = "project", "token" }},
	{"snafu", nil},
	{"stepfunctions", nil},
	{"webtask", nil},
	{"xray", nil},
}

// base is a URL without its path.
func base(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u.Scheme + "://" + u.Host
}

// What goes over the wire, byte for byte, stands in testdata/*.http.
func TestGoldenRequests(t *testing.T) {
	kinds := httpKinds()
	seen := map[string]bool{}
	for _, tt := range goldens {
		kind := ""
		for _, k := range kinds { // the longest that the file begins with
			if (tt.file == k || strings.HasPrefix(tt.file, k+"-")) && len(k) > len(kind) {
				kind = k
			}
		}
		seen[kind] = true
		t.Run(tt.file, func(t *testing.T) {
			far := listen(t)
			c := kindConfig(kind, "http://"+far.Addr().String())
			c.Now = func() time.Time { return sample().Event.Time }
			if tt.set != nil {
				tt.set(&c)
			}
			target := open(t, c)
			wire := make(chan []byte, 1)
			go func() { wire <- answerOne(far, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") }()
			rec, next := sampleOf(kind), sample()
			rec.Event.Unsure = true
			next.Event.ID, next.Event.ContentType, next.Event.Data = "gw7/43/0", "text/plain", []byte("<21>")
			errs := []error{nil}
			if b, ok := target.(uplink.Batcher); ok && kind != "xray" {
				errs = b.SendBatch(t.Context(), []agent.Record{rec, next})
			} else {
				errs[0] = target.Send(t.Context(), rec)
			}
			if err := errors.Join(errs...); err != nil {
				t.Fatal(err)
			}
			raw := <-wire
			testbed.Eventually(t, 5*time.Second, "all is counted", func() error { // the answer may come before the write returns
				if up := target.(interface{ BytesUp() int64 }).BytesUp(); up != int64(len(raw)) {
					return fmt.Errorf("BytesUp %d, but %d bytes arrived", up, len(raw))
				}
				return nil
			})
			compareGolden(t, tt.file, raw, far.Addr().String())
		})
	}
	for _, kind := range kinds {
		if !seen[kind] && kind != "otlp" { // its bodies are no text; its own tests read them
			t.Errorf("kind %s has no golden request: add one to goldens", kind)
		}
	}
}

// compareGolden hides what differs from run to run: the port, and the
// signature that covers it.
func compareGolden(t *testing.T, name string, raw []byte, addr string) {
	t.Helper()
	got := strings.ReplaceAll(string(raw), addr, "far.example")
	got = strings.ReplaceAll(got, "\r\n", "\n") + "\n"
	if i := strings.Index(got, "Signature="); i >= 0 {
		got = got[:i] + "Signature=…" + got[i+len("Signature=")+64:]
	}
	sameAsFile(t, name+".http", got)
}

// sameAsFile compares with a file of testdata. UPDATE_GOLDEN=1 writes it.
func sameAsFile(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
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
