package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadConfigRefusesSources(t *testing.T) {
	for _, tt := range []struct{ name, yaml, want string }{
		{"open HTTP", "http_in: {listen: '0.0.0.0:9181'}", "http_in.token_file: is missing: other machines reach 0.0.0.0:9181"},
		{"HTTP address", "http_in: {listen: gateway}", `http_in.listen: listen address "gateway" must be host:port`},
		{"HTTP certificates", "http_in: {listen: '127.0.0.1:1', client_ca_file: pw}", "http_in.client_ca_file: needs a certificate for this side too"},
		{"HTTP rate", "http_in: {listen: '127.0.0.1:1', rate: -1}", "http_in.rate: is from 0 to 100000, not -1"},
		{"source kind", "sources: [{name: a, kind: serial}]", `sources[0].kind: is files, tail or process, not "serial"`},
		{"source's name", "sources: [{name: http, kind: tail, path: pw}]", `sources[0].name: "http" is the name of the http source`},
		{"source like a broker", "brokers: [{name: a, url: 'tcp://h'}]\nsources: [{name: a, kind: tail, path: pw}]", `sources[0].name: "a" is the name of a broker`},
		{"two sources", "sources: [{name: a, kind: tail, path: pw}, {name: a, kind: tail, path: pw}]", `sources[1].name: "a" is the name of sources[0] already`},
		{"key of another kind", "sources: [{name: a, kind: tail, path: pw, glob: '*'}]", "sources[0].glob: is no key of a source of kind tail, which has path, from, max_line, poll"},
		{"source without path", "sources: [{name: a, kind: files}]", "sources[0].path: is missing"},
		{"file for a directory", "sources: [{name: a, kind: files, path: pw}]", "is no directory; to follow one file, use kind: tail"},
		{"directory to follow", "sources: [{name: a, kind: tail, path: .}]", "is no regular file; to watch a directory, use kind: files"},
		{"glob", "sources: [{name: a, kind: files, path: ., glob: '[a'}]", "sources[0].glob: is a pattern such as *.csv"},
		{"file operation", "sources: [{name: a, kind: files, path: ., on: [chmod]}]", "sources[0].on[0]: is one of create, modify, rename, delete"},
		{"move without target", "sources: [{name: a, kind: files, path: ., then: move}]", "sources[0].move_to: and then: move go together"},
		{"size without content", "sources: [{name: a, kind: files, path: ., max_size: 1KiB}]", "sources[0].max_size: is for files that are the data"},
		{"glob of any depth", "sources: [{name: a, kind: files, path: ., glob: '**/*.csv'}]", "sources[0].glob: ** is no pattern here: write *.csv, and recursive: true for directories below"},
		{"glob of everything", "sources: [{name: a, kind: files, path: ., glob: '**'}]", "sources[0].glob: ** is no pattern here: write *, and recursive: true"},
		{"move to itself", "sources: [{name: a, kind: files, path: in, then: move, move_to: ./in/}]", "sources[0].move_to: is path itself, so that each file would be new again: name another directory"},
		{"command line", "sources: [{name: a, kind: process, command: 'candump -L can0'}]", `sources[0].command: it is a list: write ["candump", "-L", "can0"]`},
		{"from", "sources: [{name: a, kind: tail, path: pw, from: here}]", "sources[0].from: is one of start, end"},
		{"no command", "sources: [{name: a, kind: process}]", "sources[0].command: it is a list that begins with a program"},
		{"unknown command", "sources: [{name: a, kind: process, command: [no-such-program]}]", "sources[0].command: no-such-program cannot be run"},
		{"command not executable", "sources: [{name: a, kind: process, command: [./pw]}]", "it has to be there and to be executable"},
		{"environment of a command", "sources: [{name: a, kind: process, command: [sh], env: [UNIT]}]", "sources[0].env[0]: is NAME=value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := LoadConfig(writeConfig(t, tt.yaml))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s\ngot  %v\nwant %s", tt.yaml, err, tt.want)
			}
		})
	}
}

// TestSourcesAreEnough: events come without a broker too.
func TestSourcesAreEnough(t *testing.T) {
	for _, text := range []string{"http_in: {listen: '127.0.0.1:9181'}", "sources: [{name: a, kind: tail, path: pw}]"} {
		if _, err := LoadConfig(writeConfig(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestCommandBesideTheConfiguration is found from wherever the agent starts, and
// whatever its working directory is.
func TestCommandBesideTheConfiguration(t *testing.T) {
	path := writeConfig(t, "registry: {ref: 'oci://h/fleet', root_file: root.json}\nsources: [{name: a, kind: process, command: [./pw], dir: work}]")
	dir := filepath.Dir(path)
	if err := errors.Join(os.Chmod(filepath.Join(dir, "pw"), 0o755), os.Mkdir(filepath.Join(dir, "work"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for from, name := range map[string]string{dir: "skerry.yaml", filepath.Dir(dir): filepath.Join(filepath.Base(dir), "skerry.yaml")} {
		t.Chdir(from)
		c, err := LoadConfig(name)
		if err != nil {
			t.Errorf("from %s: %v", from, err)
		} else if got := c.Sources[0].Command[0]; got != filepath.Join(dir, "pw") {
			t.Errorf("from %s: command %s", from, got)
		}
	}
}

// TestSourceThatComesLater is no mistake: a disk may be plugged in.
func TestSourceThatComesLater(t *testing.T) {
	c, err := LoadConfig(writeConfig(t, "registry: {ref: 'oci://h/fleet', root_file: root.json}\nsources: [{name: a, kind: files, path: stick/in}]"))
	if err != nil || !strings.Contains(strings.Join(c.Warnings, "\n"), "the source waits for it") {
		t.Errorf("%v, warnings %q", err, c.Warnings)
	}
}
