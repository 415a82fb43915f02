package main

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is one of which code is linked into a program.
type module struct {
	path, version string
	dir           string
	licence       string // of SPDX: "MIT"
	text          string // of its licence, and what it wants said
}

// modulesOf reads what a program is linked of out of the program itself, Go's own
// library first, and finds where its sources are.
func modulesOf(program string) ([]module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, err
	}
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	list := []module{{path: "std", version: strings.TrimPrefix(info.GoVersion, "go"), dir: strings.TrimSpace(goroot)}}
	dirs, err := folders()
	if err != nil {
		return nil, err
	}
	for _, dep := range info.Deps {
		list = append(list, module{path: dep.Path, version: dep.Version, dir: dirs[dep.Path]})
	}
	return list, nil
}

// folders has where modules are on this machine, by path.
func folders() (map[string]string, error) {
	text, err := output("go", "list", lean, "-m", "-json=Path,Dir", "all")
	if err != nil {
		return nil, err
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var m struct{ Path, Dir string }
		switch err := d.Decode(&m); {
		case errors.Is(err, io.EOF):
			return dirs, nil
		case err != nil:
			return nil, fmt.Errorf("go list -m: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
}

// legal are files that go along with a program; licences are those that tell which
// licence it is. edl-v10 is the one of paho's two that is chosen.
var (
	legal     = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|edl)([.-].*)?$`)
	isLicence = regexp.MustCompile(`(?i)^(licen[cs]e|copying)`)
)

// readLicence reads the licence of m, and says which one it is. One that is not known
// is an error: somebody has to read it before it is given on.
func (m *module) readLicence() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("module %s: %w", m.path, err)
	}
	var text strings.Builder
	found := map[string]bool{}
	for _, e := range entries {
		if e.IsDir() || !legal.MatchString(e.Name()) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "---- %s\n%s\n", e.Name(), strings.TrimSpace(strings.ReplaceAll(string(data), "\r", "")))
		if id := licenceOf(string(data)); id != "" && isLicence.MatchString(e.Name()) {
			found[id] = true
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("module %s has no licence that internal/dist/modules.go knows: look into %s", m.path, m.dir)
	}
	var ids []string
	for id := range found {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	m.licence, m.text = strings.Join(ids, " AND "), text.String()
	return nil
}

// licences are told apart by words that no other has; the first that fits counts.
var licences = []struct{ id, words string }{
	{"EPL-2.0 OR BSD-3-Clause", "Eclipse Public License v2.0 and Eclipse Distribution License v1.0"},
	{"Apache-2.0", "Apache License Version 2.0"},
	{"MPL-2.0", "Mozilla Public License"},
	{"MIT", "Permission is hereby granted, free of charge"},
	{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
	{"BSD-3-Clause", "Neither the name of"},
	{"BSD-2-Clause", "Redistributions in binary form must reproduce"},
}

// licenceOf is the name of a licence by its text, "" if it is not known.
func licenceOf(text string) string {
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, ",", "")), " ")
	for _, l := range licences {
		if strings.Contains(text, strings.ReplaceAll(l.words, ",", "")) {
			return l.id
		}
	}
	return ""
}
