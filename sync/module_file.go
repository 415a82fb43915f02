package fleetsync

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

var wasmMagic = []byte("\x00asm")

// CheckModuleFile refuses what is neither WebAssembly, by its first bytes, nor
// JavaScript, by the end of its name: .js, .mjs or .cjs. The error goes on
// after the name of the file: "is empty: …".
func CheckModuleFile(path string, data []byte) error {
	ext := filepath.Ext(path)
	switch {
	case len(data) == 0:
		return errors.New("is empty: build the module first")
	case len(data) < minModule:
		return fmt.Errorf("has %d bytes, which is no module: build it first", len(data))
	case bytes.HasPrefix(data, wasmMagic):
		return nil
	}
	switch ext {
	case ".js", ".mjs", ".cjs":
		return nil
	case ".ts", ".mts", ".cts", ".tsx", ".jsx":
		return fmt.Errorf("is built into JavaScript first: npx esbuild %s --bundle --format=esm --outfile=%s", path, strings.TrimSuffix(path, ext)+".js")
	case ".wat":
		return errors.New("is WebAssembly in its text form: translate it with wat2wasm")
	}
	return errors.New("is no WebAssembly module: build it first (JavaScript is in a file that ends in .js, .mjs or .cjs)")
}
