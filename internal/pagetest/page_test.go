package pagetest

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/skerry-edge/skerry/agent/page"
)

const playwright = "playwright-core-1.65.1" // as .ci/deps.sh installs it

// TestPage has a browser go through all pages of a real agent, as a person would:
// see drive.mjs for what is asked of them. SKERRY_PAGE_SHOTS names a folder that
// keeps the screenshots.
func TestPage(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "skerry-peers", playwright, "node_modules")
	for _, there := range []string{modules, "/usr/bin/chromium"} {
		if _, err := os.Stat(there); err != nil {
			t.Fatalf("%s is missing; install it with: bash .ci/deps.sh", there)
		}
	}
	shots := os.Getenv("SKERRY_PAGE_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	p := newPlant(t)
	p.work()
	jobs := make(chan job)
	control := httptest.NewServer(p.control(jobs))
	t.Cleanup(control.Close)
	cmd := exec.Command("node", "drive.mjs")
	cmd.Env = append(os.Environ(), "PAGE="+p.page(), "CONTROL="+control.URL, "SHOTS="+shots, "PLAYWRIGHT="+filepath.Join(modules, "playwright-core"), "HOME="+p.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	for {
		select {
		case j := <-jobs:
			j.do()
			close(j.done)
		case err := <-ended:
			if err != nil {
				t.Errorf("node drive.mjs: %v\n%s\nthe agent:\n%s", err, out.Bytes(), p.proc.Output())
			}
			t.Logf("%s", out.Bytes())
			return
		}
	}
}

// job is done by the test itself, which it may fail.
type job struct {
	do   func()
	done chan struct{}
}

// control lets the script work the plant.
func (p *plant) control(jobs chan<- job) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /send", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Topic, Data string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		} else if err := p.send(in.Topic, in.Data); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	for path, do := range map[string]func(){"update": p.update, "stop": func() { p.proc.Stop() }, "start": p.start} {
		mux.HandleFunc("POST /"+path, func(http.ResponseWriter, *http.Request) {
			j := job{do, make(chan struct{})}
			jobs <- j
			<-j.done
		})
	}
	return mux
}

// page serves the page and the agent's API behind it.
func (p *plant) page() string {
	api := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "skerry"}) },
		FlushInterval: -1,
		Transport: &http.Transport{Dial: func(_, _ string) (net.Conn, error) { return net.Dial("unix", p.path("s")) }},
	}
	files := page.Files()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
		if len(r.URL.Path) > 4 && r.URL.Path[:4] == "/v1/" {
			api.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	}))
	p.t.Cleanup(server.CloseClientConnections)
	return server.URL + "/"
}
