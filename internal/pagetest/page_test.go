package pagetest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const playwright = "playwright-core-1.65.1" // as .ci/deps.sh installs it

// TestPage has a browser go through all pages of a real agent, as a person would:
// see drive.mjs for what is asked of them. PAGE_SHOTS names a folder that
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
	shots := os.Getenv("PAGE_SHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	p := newPlant(t)
	p.work()
	jobs := make(chan job)
	control := httptest.NewServer(p.control(jobs))
	t.Cleanup(control.Close)
	cmd := exec.CommandContext(t.Context(), "node", "drive.mjs")
	cmd.Env = append(os.Environ(), "PAGE=http://"+p.page+"/", "TOKEN="+token, "CONTROL="+control.URL, "SHOTS="+shots, "PLAYWRIGHT="+filepath.Join(modules, "playwright-core"), "HOME="+p.dir)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	for {
		select {
		case j := <-jobs:
			j.run()
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

func (j *job) run() {
	defer close(j.done)
	j.do()
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
	mux.HandleFunc("POST /link", func(w http.ResponseWriter, _ *http.Request) {
		out, err := exec.Command(p.binary, "page", "--no-open", "--socket", p.path("s")).Output()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if _, err := w.Write(bytes.TrimSpace(out)); err != nil {
			return // the script went away
		}
	})
	for path, do := range map[string]func(){
		"update": p.update, "stop": func() { p.proc.Stop() }, "start": p.start,
		"looking": func() { p.configure(false) },
		"freeze":  func() { p.proc.Freeze() }, "thaw": func() { p.proc.Thaw() },
	} {
		mux.HandleFunc("POST /"+path, func(http.ResponseWriter, *http.Request) {
			j := job{do, make(chan struct{})}
			jobs <- j
			<-j.done
		})
	}
	return mux
}
