package codecache

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"golang.org/x/sys/cpu"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// RuntimeConfig is the configuration that compiles modules. Who runs what
// Prepare returned must start from it: wazero finds compiled code only under the
// same settings. A limit of memory pages and a cache may be added.
func RuntimeConfig(interpret bool) wazero.RuntimeConfig {
	config := wazero.NewRuntimeConfig() // compiles where that works
	if interpret {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	return config.
		WithCoreFeatures(api.CoreFeaturesV2).
		WithCloseOnContextDone(false). // the rewritten module stops by itself
		WithDebugInfoEnabled(false)    // DWARF is not read: it costs more memory than the code
}

// engineID names all that compiled code depends on besides the module. It is a
// superset of what wazero tells its cache files apart by, so that wazero finds
// what is sealed under the same name.
func engineID(interpret bool) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "instrument %d, wazero %s, %s/%s, interpret %t, %+v, %+v",
		instrument.Version, wazeroVersion(), runtime.GOOS, runtime.GOARCH, interpret, cpu.X86, cpu.ARM64))
	return hex.EncodeToString(sum[:8])
}

func wazeroVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/tetratelabs/wazero" {
			if dep.Replace != nil {
				dep = dep.Replace
			}
			return dep.Path + " " + dep.Version + " " + dep.Sum
		}
	}
	return ""
}
