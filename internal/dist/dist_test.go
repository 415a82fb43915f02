package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestDebVersion puts versions into the order that dpkg has for them.
func TestDebVersion(t *testing.T) {
	for _, tt := range []struct{ version, want string }{
		{"1.2.3", "1.2.3"},
		{"v1.2.3", "1.2.3"},
		{"1.0.0-rc1", "1.0.0~rc1"},
		{"v1.0.0-rc.2", "1.0.0~rc.2"},
		{"v0.7.0-12-gafab2af", "0.7.0+12.gafab2af"},
		{"v0.7.0-12-gafab2af-dirty", "0.7.0+12.gafab2af.dirty"},
		{"afab2af", "0~gafab2af"},
		{"0fab2af-dirty", "0~g0fab2af.dirty"},
		{"dev", "0~gdev"},
	} {
		if got := debVersion(tt.version); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.version, got, tt.want)
		}
	}
}

func TestMaintainer(t *testing.T) {
	for m, good := range map[string]bool{
		nobody:                         true,
		"Ada Smith <ada@acme.example>": true,
		"ada@acme.example":             false,
		"Ada Smith":                    false,
		"Ada <ada@acme.example>, Bo <bo@acme.example>": false,
	} {
		if err := checkMaintainer(m); (err == nil) != good {
			t.Errorf("%s: %v", m, err)
		}
	}
}

func TestLicenceOf(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"  Apache License\n    Version 2.0, January 2004", "Apache-2.0"},
		{"Permission is hereby granted, free of charge, to any", "MIT"},
		{"Redistributions in binary form must reproduce … Neither the name of Google", "BSD-3-Clause"},
		{"Redistributions in binary form must reproduce …", "BSD-2-Clause"},
		{"made available under the terms of the Eclipse Public License v2.0\nand Eclipse Distribution License v1.0 which", "EPL-2.0 OR BSD-3-Clause"},
		{"You may not use this.", ""},
	} {
		if got := licenceOf(tt.text); got != tt.want {
			t.Errorf("%.30q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// TestUnknownLicenceIsRefused holds back a release with a module that nobody has read
// the licence of.
func TestUnknownLicenceIsRefused(t *testing.T) {
	m := module{path: "example.com/strange", dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(m.dir, "LICENSE"), []byte("Ask me first."), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.readLicence(); err == nil {
		t.Errorf("taken as %q", m.licence)
	}
}

func TestArchiveIsTheSameInAnyOrder(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	files := []file{{"skerry", []byte("program"), 0o755}, {"man/skerry.1", []byte("page"), 0o644}, {"LICENSE", []byte("text"), 0o644}}
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	err := writeArchive(first, "skerry-1", at, files)
	slices.Reverse(files)
	if err := errors.Join(err, writeArchive(second, "skerry-1", at, files)); err != nil {
		t.Fatal(err)
	}
	a, b := read(t, first), read(t, second)
	if !bytes.Equal(a, b) {
		t.Error("the order in which files are found is seen in the archive")
	}
	z, err := gzip.NewReader(bytes.NewReader(a))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.Equal(at) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s: time %s, owner %d %s", h.Name, h.ModTime, h.Uid, h.Uname)
		}
		names = append(names, h.Name)
	}
	if want := []string{"skerry-1/", "skerry-1/LICENSE", "skerry-1/man/", "skerry-1/man/skerry.1", "skerry-1/skerry"}; !slices.Equal(names, want) {
		t.Errorf("it has %q, want %q", names, want)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestLinksOfAnArchive(t *testing.T) {
	const text = "[a](fleet.md#keys) [b](../README.md) [c](#here) [d](https://x.example/y)"
	const want = "[a](" + published + "docs/fleet.md#keys) [b](" + published + "README.md) [c](#here) [d](https://x.example/y)"
	if got := string(linked("docs/install.md", []byte(text))); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestPlatforms(t *testing.T) {
	list, err := platforms("linux/arm/7,linux/amd64")
	if err != nil || len(list) != 2 || list[0].name() != "linux-armv7" || list[1].name() != "linux-amd64" {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := platforms("plan9/386"); err == nil {
		t.Error("a platform that is not supported is taken")
	}
}
