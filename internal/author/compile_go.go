package author

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	goFlags  = []string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"}
	goTarget = []string{"GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="}
)

// buildGo builds a guest of skerry_v1, or, of a program without the SDK, a WASI
// command.
func buildGo(ctx context.Context, j *job) (string, error) {
	tool := first(append([]string{named("GO")}, onPath("go")...), func(path string) bool {
		return goKnowsExports(answer(path, "env", "GOVERSION"))
	})
	if tool == "" {
		return "", j.missing("Go 1.24 or later", "sudo apt-get install golang-go (Debian 13), or take it from https://go.dev/dl")
	}
	env := slices.Clone(goTarget)
	if self, err := j.selfContained(); err != nil {
		return "", err
	} else if self {
		env = append(env, "GOPROXY=off", "GOWORK=off")
	}
	var packages bytes.Buffer
	if err := j.runTo(ctx, &packages, env, tool, "list", "-deps", "-f", "{{.ImportPath}}", "."); err != nil {
		return "", err
	}
	args := slices.Clone(goFlags)
	if usesSDK(packages.String()) {
		args = append(args, "-buildmode=c-shared")
	}
	return tool, j.run(ctx, env, tool, append(args, "-o", j.out, ".")...)
}

// goKnowsExports tells whether a version has go:wasmexport.
func goKnowsExports(version string) bool {
	minor, _, _ := strings.Cut(strings.TrimPrefix(version, "go1."), ".")
	return strings.HasPrefix(version, "go1.") && (len(minor) > 2 || minor >= "24")
}

var required = regexp.MustCompile(`(?m)^\s*require\b`)

// selfContained tells whether the module of the function names no other: then
// nothing needs to be looked for, here or elsewhere.
func (j *job) selfContained() (bool, error) {
	text, err := os.ReadFile(filepath.Join(j.dir, "go.mod"))
	if os.IsNotExist(err) {
		return false, nil // a package of a larger module
	}
	return err == nil && !required.Match(text), err
}

// usesSDK tells whether one of the packages, a line each, is the SDK.
func usesSDK(packages string) bool {
	for name := range strings.Lines(packages) {
		name = strings.TrimSpace(name)
		if strings.HasSuffix(name, "/skerry") || strings.HasSuffix(name, "/wasm/guest/go") {
			return true
		}
	}
	return false
}
