package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// unpacked are the files of a bundle, without its folder.
func unpacked(t *testing.T, packed io.Reader) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		head, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(head.Name, "/")
		files[name] = string(data)
	}
}

// bundleOf writes the bundle of a configuration and unpacks it; said is what was printed.
func bundleOf(t *testing.T, config string, more ...string) (files map[string]string, said string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	out, err := exec.Command(os.Args[0], append([]string{"support-bundle", "-c", config, "-o", file}, more...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	return unpacked(t, f), string(out)
}

func TestSupportBundleWithoutAnAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, "brokers: [{name: plant, url: 'tcp://127.0.0.1:1', username: gw7, password: "+canary+"broker}]")
	files, said := bundleOf(t, r.path("skerry.yaml"))
	var list bundle
	if err := json.Unmarshal([]byte(files[bundleList]), &list); err != nil || list.Device != "gw7" {
		t.Fatalf("%v: %s", err, files[bundleList])
	}
	if len(list.Parts) != len(files)-1 {
		t.Errorf("%d parts are listed, %d are there", len(list.Parts), len(files)-1)
	}
	for _, p := range list.Parts {
		sum := sha256.Sum256([]byte(files[p.Name]))
		if p.SHA256 != hex.EncodeToString(sum[:]) || p.Bytes != len(files[p.Name]) {
			t.Errorf("%s is not as listed: %+v", p.Name, p)
		}
		if strings.HasSuffix(p.Name, ".json") && !json.Valid([]byte(files[p.Name])) {
			t.Errorf("%s is no JSON: %.200s", p.Name, files[p.Name])
		}
		if !strings.Contains(said, p.Name) {
			t.Errorf("nobody is told of %s", p.Name)
		}
		leaks(t, p.Name, files[p.Name])
	}
	for _, want := range []string{"NOT INSIDE", "no agent answers", "Nothing was sent"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in %s", want, said)
		}
	}
	if !strings.Contains(files["config.json"], `"username": "gw7"`) || !strings.Contains(files["config.json"], hidden) {
		t.Errorf("config.json: %s", files["config.json"])
	}
	if out, err := exec.Command(os.Args[0], "support-bundle", "-c", r.path("skerry.yaml"), "-o", r.path("skerry.yaml")).CombinedOutput(); err == nil || !strings.Contains(string(out), "is there already") {
		t.Errorf("a file is written over: %v %s", err, out)
	}
	if _, said := bundleOf(t, r.path("none.yaml"), "--without", "system.json"); !strings.Contains(said, "system.json") || !strings.Contains(said, "config file") {
		t.Errorf("without a configuration: %s", said)
	}
}

func TestSupportBundleOfARunningAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.publishScript("a", "1.0.0", "export default () => 1")
	r.start()
	r.runs("a@1.0.0")
	files, _ := bundleOf(t, r.path("skerry.yaml"))
	for name, want := range map[string]string{
		"status.json": `"device": "gw7"`, "health.json": `"ready"`, "deployments.json": `"entries"`, "logs.jsonl": `"text":"skerry starts"`,
		"apps/a.json": `"keepWarm"`, "files.txt": "store/", "goroutines.txt": "(…)", "deadletters.json": "[]", "uplink.json": `"targets"`,
		"doctor.json": `"check": "engine"`, "system.json": `"kernel"`, "version.json": `"platform"`, "memory.json": `"heap"`,
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s has no %s: %.300s", name, want, files[name])
		}
	}
	r.proc.Stop()
	files, _ = bundleOf(t, r.path("skerry.yaml"))
	if !strings.Contains(files["apps/a.json"], `"keepWarm"`) || !strings.Contains(files["store.json"], "journal_bytes") {
		t.Errorf("of its data: %v", files)
	}
}

func TestBundlesHideSecrets(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"token": "from-a-file\n", "ini": "[default]\naws_secret_access_key = behind-equals\n", "json": `{"private_key": "in-json+/x", "n": 1}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("A_VARIABLE", "from-the-environment")
	given := map[string]any{
		"brokers": []any{map[string]any{"name": "plant", "url": "tcp://u:in-a-url@h:1", "username": "gw", "password": "as-a-value"}},
		"secrets": []any{map[string]any{"name": "a", "env": "A_VARIABLE"}, map[string]any{"name": "b", "file": "json"}},
		"sources": []any{map[string]any{"name": "p", "command": []any{"/bin/x", "argument-of-it"}, "env": []any{"TOKEN=in-its-environment"}}},
		"targets": []any{map[string]any{
			"name": "t", "url": "https://h/a/a-long-part-of-a-path?key=in-a-query", "headers": []any{"X-Key: of-a-header"}, "token_file": "token", "credentials_file": "ini",
		}},
		"pasword": "of-a-typing-mistake",
		"device":  map[string]any{"id": "gw7", "labels": []any{"site=west"}},
	}
	r := newRedactor(given, dir, dir)
	secrets := []string{
		"in-a-url", "as-a-value", "from-the-environment", "in-json+/x", "argument-of-it", "in-its-environment", "a-long-part-of-a-path", "in-a-query",
		"of-a-header", "from-a-file", "behind-equals",
	}
	for _, s := range secrets {
		escaped, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{s, string(escaped), "x" + s + "y", base64.StdEncoding.EncodeToString([]byte(s)), strings.NewReplacer("+", "%2B", "/", "%2F").Replace(s)} {
			if got := string(r.text([]byte("before " + text + " behind"))); strings.Contains(got, text) || !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " behind") {
				t.Errorf("%s stays in %q", text, got)
			}
		}
	}
	if got := string(r.text([]byte(base64.StdEncoding.EncodeToString([]byte("gw:as-a-value"))))); got != hidden {
		t.Errorf("a header of basic authentication: %s", got)
	}
	for _, unknown := range []string{
		"Authorization: Bearer abcdefghijkl", `{"password":"hunter2222"}`, `token=abcdef123`, "https://u:pa55@h/", "AKIAABCDEFGHIJKLMNOP", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
		`"text":"{\"api_key\":\"abcdefg\"}"`,
	} {
		if got := string(r.text([]byte(unknown))); !strings.Contains(got, hidden) {
			t.Errorf("%q stays %q", unknown, got)
		}
	}
	shown, err := json.Marshal(r.settings(given))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(secrets, "of-a-typing-mistake") {
		if strings.Contains(string(shown), s) {
			t.Errorf("%s stays in %s", s, shown)
		}
	}
	for _, stays := range []string{`"id":"gw7"`, `"site=west"`, `"name":"plant"`, `tcp://hidden@h:1`, `https://h/a/hidden?hidden`, `"token_file":"token"`, `"env":"A_VARIABLE"`} {
		if !strings.Contains(string(shown), stays) {
			t.Errorf("%s is gone from %s", stays, shown)
		}
	}
}

func TestBundlesAreBounded(t *testing.T) {
	known := suspects
	t.Cleanup(func() { suspects = known })
	suspects = known[:1] // to look for all of them in 8 MiB takes half a minute with the race detector
	b := &bundle{Made: time.Now(), redact: newRedactor(nil, "", "")}
	for i := range 12 {
		b.add(fmt.Sprint("part", i), "", bytes.Repeat([]byte("a line of some length\n"), 1<<16))
	}
	if len(b.LeftOut) == 0 {
		t.Error("nothing is left out")
	}
	all := 0
	for _, p := range b.Parts {
		all += len(p.data)
		if len(p.data) > maxPart || !p.Cut {
			t.Errorf("%s has %d bytes, cut: %t", p.Name, len(p.data), p.Cut)
		}
	}
	if all > maxBundle {
		t.Errorf("%d bytes in all", all)
	}
	var packed bytes.Buffer
	if err := b.write(&packed); err != nil {
		t.Fatal(err)
	}
	for name := range unpacked(t, &packed) {
		if name != path.Base(name) {
			t.Errorf("it has a file %s", name)
		}
	}
}
