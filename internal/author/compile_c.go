package author

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
)

// buildC builds a guest of skerry_v1, or, of a source that does not include
// skerry.h, a WASI command.
func buildC(ctx context.Context, j *job) (string, error) {
	text, err := j.text()
	if err != nil {
		return "", err
	}
	command := !bytes.Contains(text, []byte("skerry.h"))
	clang, err := j.findClang(command)
	if err != nil {
		return "", err
	}
	sdk, err := j.sdk()
	if err != nil {
		return "", err
	}
	args := append(cFlags(command), "-I", sdk, "-o", j.out, j.Main)
	return clang, j.run(ctx, nil, clang, args...)
}

// cFlags are those of wasm/guest/build.mk, but that a warning does not stop a build.
func cFlags(command bool) []string {
	if command {
		return []string{"--target=wasm32-wasi", "-O2", "-Wall", "-Wextra", "-Wl,--strip-all"}
	}
	return []string{
		"--target=wasm32", "-O2", "-ffreestanding", "-nostdlib", "-Wall", "-Wextra",
		"-Wl,--no-entry", "-Wl,--strip-all",
	}
}

func (j *job) findClang(command bool) (string, error) {
	// One that knows its linker; Debian's of another version may lack that.
	clang := first(append([]string{named("CLANG")}, onPath("clang-14", "clang")...), func(path string) bool {
		linker := answer(path, "--target=wasm32", "-print-prog-name=wasm-ld")
		_, err := exec.LookPath(linker)
		return err == nil
	})
	if clang == "" {
		return "", j.missing("clang with wasm-ld", "sudo apt-get install clang lld")
	}
	if command {
		start := answer(clang, "--target=wasm32-wasi", "-print-file-name=crt1-command.o")
		builtins := answer(clang, "--target=wasm32-wasi", "-print-libgcc-file-name")
		if !filepath.IsAbs(start) || !exists(builtins) {
			return "", j.missing("a C library for WASI, as it does not include skerry.h", "sudo apt-get install wasi-libc libclang-rt-dev-wasm32")
		}
	}
	return clang, nil
}
