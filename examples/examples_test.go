package examples_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/examples"
	"github.com/skerry-edge/skerry/wasm"
)

var update = flag.Bool("update", false, "rewrite want.json from what the examples do")

// app is the part of app.yaml that running a function needs.
type app struct {
	Metadata  struct{ Name string }
	Functions map[string]struct {
		Module struct{ Path string }
		Env    map[string]string
		Limits struct {
			Memory  string
			Timeout time.Duration
		}
		Permissions struct{ Publish, Invoke []string }
	}
}

// given is one event of event.json.
type given struct {
	Topic       string          `json:"topic"`
	ContentType string          `json:"contentType"`
	Data        json.RawMessage `json:"data"`
}

// decided is one entry of want.json: what the run for the event with the same
// place in event.json decided. Writes of one event are state for the next.
type decided struct {
	Error     string            `json:"error,omitempty"`
	Result    json.RawMessage   `json:"result,omitempty"`
	Writes    map[string]string `json:"writes,omitempty"` // text, or "base64:…"; "" deletes
	Publishes []published       `json:"publishes,omitempty"`
	Followups []asked           `json:"followups,omitempty"`
	Logs      []string          `json:"logs,omitempty"`
}

type published struct {
	Topic  string          `json:"topic"`
	Data   json.RawMessage `json:"data"`
	QoS    uint8           `json:"qos"`
	Retain bool            `json:"retain,omitempty"`
}

type asked struct {
	Target      string          `json:"target"`
	ContentType string          `json:"contentType"`
	Data        json.RawMessage `json:"data"`
}

func TestOverheat(t *testing.T)   { golden(t, "overheat") }
func TestRollup(t *testing.T)     { golden(t, "rollup") }
func TestCounter(t *testing.T)    { golden(t, "counter") }
func TestHysteresis(t *testing.T) { golden(t, "hysteresis") }
func TestVibration(t *testing.T)  { golden(t, "vibration") }

func TestConvert(t *testing.T) {
	goBuild(t, "convert", "-buildmode=c-shared")
	golden(t, "convert")
}

func TestEnrich(t *testing.T) {
	goBuild(t, "enrich-wasi")
	golden(t, "enrich-wasi")
}

// goBuild builds an example as `make examples` does.
func goBuild(t *testing.T, name string, flags ...string) {
	t.Helper()
	args := append([]string{"build", "-ldflags=-s -w", "-o", filepath.Join(name, name+".wasm")}, flags...)
	cmd := exec.Command("go", append(args, "./"+name)...)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
}

// golden runs an example for each event of event.json and compares what it
// decided with want.json.
func golden(t *testing.T, dir string) {
	t.Helper()
	fn, blobs := function(t, dir)
	rt := wasm.NewRuntime(blobs, wasm.Options{Log: slog.New(slog.DiscardHandler)})
	ctx := context.Background()
	m, err := rt.Load(ctx, fn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(ctx), rt.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	state := view{}
	inv := agent.NewInvocation(&fn, state, agent.Outside{})
	var got []decided
	for i, g := range read[[]given](t, filepath.Join(dir, "event.json")) {
		inv.Begin(g.event(i), dir+"/trigger", 1)
		err := m.Invoke(ctx, inv)
		fx := inv.Detach()
		got = append(got, effects(*fx, err))
		if err == nil {
			state.apply(fx.Writes)
		}
	}
	compare(t, filepath.Join(dir, "want.json"), got)
}

func compare(t *testing.T, path string, got []decided) {
	t.Helper()
	text := lines(t, got)
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := lines(t, read[[]decided](t, path))
	gotLines, wantLines := strings.Split(string(text), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		if g, w := at(gotLines, i), at(wantLines, i); g != w {
			t.Errorf("%s line %d\n got %s\nwant %s", path, i+1, g, w)
		}
	}
}

func at(s []string, i int) string {
	if i < len(s) {
		return s[i]
	}
	return "(nothing)"
}

// lines is a JSON list with an entry a line.
func lines(t *testing.T, list []decided) []byte {
	t.Helper()
	var b bytes.Buffer
	for i, d := range list {
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s\n  %s", map[bool]string{true: "[", false: ","}[i == 0], text)
	}
	return append(b.Bytes(), "\n]\n"...)
}

func read[T any](t *testing.T, path string) (v T) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

func (g *given) event(i int) *agent.Event {
	return &agent.Event{
		ID: fmt.Sprintf("ev%d", i+1), Source: "/gw/mqtt/plant", Type: "io.skerry.mqtt", Subject: g.Topic,
		Time: time.UnixMilli(1700000000000), ContentType: g.ContentType, Data: g.Data,
	}
}

func effects(fx agent.Effects, err error) decided {
	if err != nil {
		return decided{Error: err.Error()}
	}
	d := decided{Result: raw(fx.Result)}
	for _, w := range fx.Writes {
		if d.Writes == nil {
			d.Writes = map[string]string{}
		}
		d.Writes[w.Key] = readable(w.Value)
	}
	for _, p := range fx.Publishes {
		d.Publishes = append(d.Publishes, published{p.Topic, raw(p.Data), p.QoS, p.Retain})
	}
	for _, f := range fx.Followups {
		d.Followups = append(d.Followups, asked{f.Target, f.ContentType, raw(f.Data)})
	}
	for _, l := range fx.Logs {
		d.Logs = append(d.Logs, l.Text)
	}
	return d
}

// raw is what a function wrote, as JSON.
func raw(data []byte) json.RawMessage {
	if len(data) == 0 || json.Valid(data) {
		return json.RawMessage(data)
	}
	text, _ := json.Marshal(string(data)) // a string always marshals
	return text
}

func readable(b []byte) string {
	if utf8.Valid(b) && !bytes.ContainsRune(b, 0) {
		return string(b)
	}
	return "base64:" + base64.StdEncoding.EncodeToString(b)
}

// function is the one function of an example's app, with its module.
func function(t *testing.T, dir string) (agent.Function, blobs) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "app.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var a app
	if err := yaml.Unmarshal(text, &a); err != nil {
		t.Fatal(err)
	}
	name := slices.Collect(maps.Keys(a.Functions))[0]
	f := a.Functions[name]
	bin, err := os.ReadFile(filepath.Join(dir, f.Module.Path))
	if err != nil {
		t.Fatal(err)
	}
	digest := agent.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(bin)))
	limits := agent.DefaultLimits
	limits.Memory = mebibytes(t, f.Limits.Memory)
	limits.Timeout = max(f.Limits.Timeout, 10*time.Second) // a busy machine is no fault of the example
	return agent.Function{
		Name: a.Metadata.Name + "/" + name, Digest: digest, Size: int64(len(bin)), Env: f.Env, Limits: limits,
		Permissions: agent.Permissions{Publish: f.Permissions.Publish, Invoke: f.Permissions.Invoke},
	}, blobs{digest: bin}
}

func mebibytes(t *testing.T, s string) int64 {
	t.Helper()
	var n int64
	if _, err := fmt.Sscanf(s, "%dMi", &n); err != nil {
		t.Fatalf("memory %q: %v", s, err)
	}
	return n << 20
}

type blobs map[agent.Digest][]byte

func (b blobs) Blob(d agent.Digest) ([]byte, error) { return b[d], nil }

// view is committed state; each example has one function, so one scope.
type view map[string][]byte

func (v view) Get(_, key string) ([]byte, error) { return v[key], nil }

func (v view) Keys(_, prefix string, limit int) ([]string, error) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(v)), func(k string) bool { return !strings.HasPrefix(k, prefix) })
	return keys[:min(limit, len(keys))], nil
}

func (v view) apply(writes []agent.Write) {
	for _, w := range writes {
		v[w.Key] = w.Value
		if w.Value == nil {
			delete(v, w.Key)
		}
	}
}

func TestEmbeddedExamplesAreComplete(t *testing.T) {
	for _, name := range []string{"overheat", "rollup", "counter"} {
		bin, err := examples.Files.ReadFile(name + "/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		if info, err := wasm.Inspect(bin); err != nil || info.ABI != wasm.SkerryV1 {
			t.Errorf("%s: %s, %v", name, info.ABI, err)
		}
		if _, err := examples.Files.ReadFile(name + "/app.yaml"); err != nil {
			t.Error(err)
		}
	}
}
