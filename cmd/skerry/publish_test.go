package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesAreToldApartByTheirKind(t *testing.T) {
	dir := t.TempDir()
	for i, tc := range []struct {
		text  string
		fleet bool
	}{
		{"apiVersion: skerry/v1\nkind: Fleet\n", true},
		{"kind: 'Fleet'\n", true},
		{"{apiVersion: skerry/v1, kind: Fleet}\n", true},
		{`{"apiVersion":"skerry/v1","kind":"Fleet","metadata":{}}`, true},
		{"{\n  \"kind\" : \"Fleet\"\n}", true},
		{"apiVersion: skerry/v1\nkind: App\n", false},
		{"kind: Fleets\n", false},
		{"kind: App\nmetadata: {name: kind-Fleet}\n", false},
	} {
		file := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(file, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		app, fleet, err := sortFiles([]string{file})
		if err != nil || (fleet == file) != tc.fleet || (app == file) == tc.fleet {
			t.Errorf("%q: app %q, fleet %q, %v", tc.text, app, fleet, err)
		}
	}
}
