package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// sbom is what a program is made of, as CycloneDX 1.5 (cyclonedx.org) has it.
type sbom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   sbomAbout   `json:"metadata"`
	Components []component `json:"components"`
}

type sbomAbout struct {
	Timestamp string    `json:"timestamp"`
	Component component `json:"component"`
}

type component struct {
	Type     string         `json:"type"`
	Name     string         `json:"name"`
	Version  string         `json:"version"`
	PURL     string         `json:"purl,omitempty"`
	Licences []licenceEntry `json:"licenses"`
}

type licenceEntry struct {
	Expression string `json:"expression"`
}

// embedded is what is in the program without being a Go module
// (wasm/javascript/LICENSES.md).
var embedded = []component{
	{"library", "quickjs", "2025-04-26", "pkg:generic/quickjs@2025-04-26", licensed("MIT")},
	{"library", "wasi-libc", "0.0~git20220510", "pkg:deb/debian/wasi-libc@0.0~git20220510", licensed("CC0-1.0 AND BSD-2-Clause AND MIT")},
	{"library", "compiler-rt", "14", "pkg:deb/debian/libclang-rt-14-dev-wasm32", licensed("Apache-2.0 WITH LLVM-exception")},
}

func licensed(expression string) []licenceEntry { return []licenceEntry{{expression}} }

func (r *release) writeSBOM(to string, modules []module) error {
	b := sbom{Format: "CycloneDX", Spec: "1.5", Version: 1, Components: embedded}
	b.Metadata.Timestamp = r.at.Format(time.RFC3339)
	b.Metadata.Component = component{"application", "skerry", r.version, "pkg:golang/github.com/skerry-edge/skerry@" + r.version, licensed("Apache-2.0")}
	for _, m := range modules {
		b.Components = append(b.Components, component{"library", m.path, m.version, "pkg:golang/" + m.path + "@" + m.version, licensed(m.licence)})
	}
	text, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(to, append(text, '\n'), 0o644)
}

// notices is one text with the licences of all that is linked into a program, as
// they want it: together with the program.
func (r *release) notices(modules []module) ([]byte, error) {
	var b strings.Builder
	b.WriteString("Skerry is licensed under the Apache License 2.0 (LICENSE). The program contains:\n\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "%s %s: %s\n", m.path, m.version, m.licence)
	}
	b.WriteString("\n")
	for _, m := range modules {
		fmt.Fprintf(&b, "==== %s %s\n\n%s\n", m.path, m.version, m.text)
	}
	engine, err := os.ReadFile("wasm/javascript/LICENSES.md")
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "==== the JavaScript engine\n\n%s", engine)
	return []byte(b.String()), nil
}
