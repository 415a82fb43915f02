package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/internal/testbed"
)

// A secret is read anew for each run: what replaces its file is what the next run sees.
// Credentials of systemd are one way to give one.
func TestSecretsAreReadAnew(t *testing.T) {
	credentials := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	addr := testbed.Addr(testbed.FreePort(t))
	r := newRig(t, fmt.Sprintf("http_in: {listen: '%s'}\nsecrets: [{name: pager, file: DIR/pager}, {name: site, credential: site-key}]\n", addr))
	give := func(path, value string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	give(r.path("pager"), "pager-1")
	give(credentials+"/site-key", "site-1")
	r.write("tell.js", `export default (event, skerry) => ({ given: skerry.secret("pager") + " " + skerry.secret("site") })`)
	r.write("app.yaml", `
apiVersion: skerry/v1
kind: App
metadata: {name: tell, version: 1.0.0}
functions:
  tell: {module: {path: tell.js}, secrets: [pager, site]}
triggers:
  - {name: ask, function: tell, http: {path: ask}}
`)
	r.publish(r.path("app.yaml"))
	r.start()
	r.running(1)
	ask := func(n int, want string) {
		t.Helper()
		code, answer := postTo(t, "http://"+addr+"/in/ask?wait=30s", "{}", fmt.Sprint(n))
		if code != 200 || !strings.Contains(answer, want) {
			t.Errorf("%d %s, want %s", code, answer, want)
		}
	}
	ask(1, `"pager-1 site-1"`)
	give(r.path("pager"), "pager-2")
	ask(2, `"pager-2 site-1"`)
	give(credentials+"/site-key", "site-2")
	ask(3, `"pager-2 site-2"`)
}

func TestSecretsAreConfigured(t *testing.T) {
	for _, tt := range []struct{ dir, yaml, want string }{
		{"", "{name: a}", "secrets[0]: names one of a file"},
		{"", "{name: a, env: HOME, credential: a}", "secrets[0]: names one of a file"},
		{"", "{name: a, credential: key}", "secrets[0].credential: systemd gave this process no credentials: write LoadCredential=key:FILE into the unit"},
		{t.TempDir(), "{name: a, credential: key}", "secrets[0].credential: cannot be read"},
		{t.TempDir(), "{name: a, credential: ../key}", "secrets[0].credential: is the name that LoadCredential= gives it"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", tt.dir)
		_, err := LoadConfig(writeConfig(t, "brokers: [{name: plant, url: 'tcp://h'}]\nsecrets: ["+tt.yaml+"]"))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
		}
	}
}
