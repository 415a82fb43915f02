package author

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	rustTarget = "wasm32-unknown-unknown"
	rustStack  = "link-arg=-zstack-size=32768" // else each instance has a megabyte of stack
)

// rustFlags are those of wasm/guest/build.mk: of all crates, and of the function.
var (
	rustFlags  = []string{"--edition", "2021", "--target", rustTarget, "-C", "opt-level=3", "-C", "panic=abort", "-C", "codegen-units=1"}
	guestFlags = []string{"--crate-type", "cdylib", "-C", "lto", "-C", "strip=symbols", "-C", rustStack}
)

func buildRust(ctx context.Context, j *job) (string, error) {
	rustc, err := j.findRustc()
	if err != nil {
		return "", err
	}
	if j.Main == "Cargo.toml" {
		return cargoBuild(ctx, j, rustc)
	}
	text, err := j.text()
	if err != nil {
		return "", err
	}
	sdk, err := j.sdk()
	if err != nil {
		return "", err
	}
	args := append(slices.Clone(rustFlags), "--remap-path-prefix="+sdk+"=sdk") // panics name files: not those of this machine
	lib := filepath.Join(j.tmp, "libskerry.rlib")
	library := append(slices.Clone(args), "--crate-type", "rlib", "--crate-name", "skerry", "-o", lib)
	if !bytes.Contains(text, []byte("#![no_std]")) {
		library = append(library, "--cfg", `feature="std"`)
	}
	if err := j.run(ctx, nil, rustc, append(library, filepath.Join(sdk, "src", "lib.rs"))...); err != nil {
		return "", err
	}
	args = append(append(args, guestFlags...), "--extern", "skerry="+lib, "-o", j.out, j.Main)
	return rustc, j.run(ctx, nil, rustc, args...)
}

// findRustc takes the first one that has the target: beside rustup's there may be
// the distribution's.
func (j *job) findRustc() (string, error) {
	rustc := first(append([]string{named("RUSTC")}, onPath("rustc")...), func(path string) bool {
		return exists(answer(path, "--print", "target-libdir", "--target", rustTarget))
	})
	if rustc != "" {
		return rustc, nil
	}
	tool, install := "rustc with the target "+rustTarget, "sudo apt-get install rustc libstd-rust-dev-wasm32"
	if j.Main == "Cargo.toml" {
		tool, install = "cargo, and "+tool, "sudo apt-get install rustc cargo libstd-rust-dev-wasm32"
	}
	return "", j.missing(tool, install+" (of rustup: rustup target add "+rustTarget+")")
}

// cargoBuild builds the library of a crate. What the crate needs from elsewhere
// must be there already, vendored or fetched.
func cargoBuild(ctx context.Context, j *job, rustc string) (string, error) {
	beside := filepath.Join(filepath.Dir(rustc), "cargo") // of another version it may not fit
	cargo := first(append([]string{named("CARGO"), beside}, onPath("cargo")...), func(path string) bool { return answer(path, "--version") != "" })
	if cargo == "" {
		return "", j.missing("cargo", "sudo apt-get install cargo")
	}
	var said bytes.Buffer
	env := []string{"RUSTC=" + rustc, "RUSTFLAGS=" + strings.TrimSpace(os.Getenv("RUSTFLAGS")+" -C "+rustStack)}
	args := []string{"build", "--release", "--quiet", "--offline", "--target", rustTarget, "--lib", "--message-format", "json-render-diagnostics"}
	if err := j.runTo(ctx, &said, env, cargo, args...); err != nil {
		return "", err
	}
	built, err := artefact(said.Bytes())
	if err != nil {
		return "", err
	}
	j.out = built
	return cargo, nil
}

// artefact is the file of the module, in what cargo says of its work.
func artefact(said []byte) (string, error) {
	file := ""
	for line := range bytes.Lines(said) {
		var message struct {
			Reason    string   `json:"reason"`
			Filenames []string `json:"filenames"`
		}
		if json.Unmarshal(line, &message) != nil || message.Reason != "compiler-artifact" {
			continue
		}
		for _, name := range message.Filenames {
			if strings.HasSuffix(name, ".wasm") {
				file = name // the last is that of the crate itself
			}
		}
	}
	if file == "" {
		return "", errors.New(`cargo made no module: write crate-type = ["cdylib"] under [lib] in Cargo.toml`)
	}
	return file, nil
}
