package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
)

const pageToken = canary + "page-token"

// newPageRig is a gateway with a page; sections are more of its configuration.
func newPageRig(t *testing.T, listen, sections string) *rig {
	t.Helper()
	t.Setenv(pageEnv, listen)
	r := newRig(t, "broker: {listen: '127.0.0.1:0', anonymous: true}\n"+sections)
	r.write("page.token", pageToken+"\n")
	return r
}

// web asks the page; headers are "Name: value".
func web(t *testing.T, method, url, body string, headers ...string) (resp *http.Response, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	resp, err = http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

// TestPageOfARealAgent logs in as a person does, with a link, and as a program does,
// and asks for health and figures as a stranger does.
func TestPageOfARealAgent(t *testing.T) {
	r := newPageRig(t, "127.0.0.1:0", "page: {token_file: page.token}\n")
	r.start()
	at := r.status().Page
	testbed.Eventually(t, 30*time.Second, "it is ready", func() error {
		if resp, body := web(t, "GET", at+"readyz", ""); resp.StatusCode != 200 {
			return errors.New(body)
		}
		return nil
	})
	if text := r.skerry("status"); !strings.Contains(text, "page      "+at+" ") {
		t.Errorf("status: %s", text)
	}
	for path, want := range map[string]string{"healthz": "200 ok\n", "readyz": "200 ready\n"} {
		if resp, body := web(t, "GET", at+path, ""); resp.Status[:4]+body != want {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
	if _, body := web(t, "GET", at+"metrics", ""); !strings.Contains(body, "\nskerry_ready 1\n") || !strings.Contains(body, `skerry_build_info{device="gw7"`) {
		t.Errorf("metrics: %s", body)
	}
	if resp, body := web(t, "GET", at+"v1/status", ""); resp.StatusCode != 401 || !strings.Contains(body, "log in first") {
		t.Errorf("without login: %s %s", resp.Status, body)
	}
	link := strings.TrimSpace(r.skerry("page"))
	place, secret, _ := strings.Cut(link, "#token=")
	if place != at {
		t.Fatalf("link %s", link)
	}
	resp, body := web(t, "POST", at+"login", fmt.Sprintf(`{"token":%q}`, secret), "Content-Type: application/json", "Origin: "+strings.TrimSuffix(at, "/"))
	if resp.StatusCode != 204 || len(resp.Cookies()) != 1 {
		t.Fatalf("login: %s %s", resp.Status, body)
	}
	cookie, key := "Cookie: "+resp.Cookies()[0].String(), "Skerry-Key: "+resp.Header.Get("Skerry-Key")
	var s agent.Status
	if _, body := web(t, "GET", at+"v1/status", "", cookie, key); json.Unmarshal([]byte(body), &s) != nil || s.Device != "gw7" {
		t.Errorf("status: %s", body)
	}
	if resp, body := web(t, "POST", at+"v1/login", "{}", cookie, key, "Origin: "+strings.TrimSuffix(at, "/")); resp.StatusCode != 404 {
		t.Errorf("a link through the page: %s %s", resp.Status, body)
	}
	if _, body := web(t, "GET", at+"v1/health", "", "Authorization: Bearer "+pageToken); !strings.HasPrefix(body, `{"ready":true,"checks":[{"name":"store","ok":true,`) {
		t.Errorf("health: %s", body)
	}
	var out struct{ URL string }
	if err := json.Unmarshal([]byte(r.skerry("page", "-o", "json")), &out); err != nil || !strings.HasPrefix(out.URL, at+"#token=") {
		t.Errorf("%v: %s", err, out.URL)
	}
	leaks(t, "the log", r.skerry("logs")+r.proc.Output())
	leaks(t, "doctor", fmt.Sprint((&doctorOptions{path: r.path("skerry.yaml"), named: true}).examine(t.Context())))
}

// TestPageWhereAnotherProgramIs: the agent does without where nobody chose the place,
// and says so where somebody did.
func TestPageWhereAnotherProgramIs(t *testing.T) {
	other, err := net.Listen("tcp", defaultPage)
	if err == nil { // else somebody's agent is there already
		defer other.Close()
	}
	r := newPageRig(t, "", "")
	r.start()
	if s := r.status(); s.Page != "" {
		t.Errorf("there is a page at %s", s.Page)
	}
	if log := r.skerry("logs"); !strings.Contains(log, "the agent runs without its page") {
		t.Errorf("log: %s", log)
	}
	out, err := exec.Command(os.Args[0], "page", "--socket", r.socket).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "this agent has no page") {
		t.Errorf("%v: %s", err, out)
	}
	r.proc.Stop()

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv(pageEnv, taken.Addr().String())
	out, err = exec.CommandContext(t.Context(), os.Args[0], "run", "-c", r.path("skerry.yaml")).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage || !strings.Contains(string(out), "skerry: page.listen: ") || !strings.Contains(string(out), "address already in use: stop the program") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPageSaysWhyItIsNotReady has nothing that is deployed start.
func TestPageSaysWhyItIsNotReady(t *testing.T) {
	r := newPageRig(t, "127.0.0.1:0", "page: {write: false}\npolicy: {memory: 64KiB}\n")
	r.publish("../../examples/counter/app.yaml")
	r.start()
	at := r.status().Page
	testbed.Eventually(t, 30*time.Second, "it says that it is not ready", func() error {
		if resp, body := web(t, "GET", at+"readyz", ""); resp.StatusCode != 503 || body != "not ready: functions\n" {
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		return nil
	})
	if resp, body := web(t, "GET", at+"healthz", ""); resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Status, body)
	}
	if s := r.status(); !s.PageReadOnly {
		t.Errorf("the page may change things: %+v", s)
	}
}
