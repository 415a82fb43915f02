package wasm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/skerry-edge/skerry/wasm/instrument"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// ABI is how a module is called.
type ABI string

const (
	SkerryV1    ABI = "skerry_v1"    // exports skerry_handle; see ABI.md
	WASICommand ABI = "wasi-command" // exports _start
	Extism      ABI = "extism"       // imports extism:host/env
	JavaScript  ABI = "javascript"   // is no WebAssembly, but source text
)

// Info is what a module says about itself.
type Info struct {
	ABI             ABI
	Imports         []Import
	Exports         []Export
	MemoryMin       uint32 // pages of 64 KiB
	MemoryMax       uint32 // pages; 65536 if the module states none
	Functions       int    // that the module defines
	LargestFunction int    // bytes of code
}

type (
	Import = instrument.Import // something a module needs
	Export = instrument.Export // something a module offers
)

// Limits of what is compiled at all. They keep a hostile module from taking
// the gateway's memory before it has run; real ones stay far below.
const (
	DefaultModuleSize = 8 << 20  // bytes; a device may allow more
	MaxModuleSize     = 32 << 20 // bytes
	maxFuncs          = 50_000
)

const (
	hostModule = "skerry_v1"
	wasiModule = wasi_snapshot_preview1.ModuleName
)

var magic = []byte("\x00asm")

// Inspect tells what a module is, and refuses what cannot run here with a
// sentence that says what to do. It validates function bodies too, which costs
// about 0.1 s for a module of 3 MiB.
func Inspect(module []byte) (Info, error) {
	info, err := Describe(module)
	if err != nil || info.ABI == JavaScript {
		return info, err
	}
	rewritten, err := instrument.Rewrite(module, instrument.Options{})
	if err != nil {
		return Info{}, fmt.Errorf("module cannot be metered: %w", err)
	}
	return info, validate(context.Background(), info, rewritten.Module)
}

// Describe is Inspect without looking into functions: it costs next to nothing,
// and what is wrong in them shows when the module is compiled.
func Describe(module []byte) (Info, error) {
	if isSource(module) {
		if bytes.HasPrefix(bytes.TrimSpace(module), []byte("(module")) {
			return Info{}, errors.New("this is WebAssembly in its text form; translate it with wat2wasm")
		}
		return Info{ABI: JavaScript}, nil
	}
	if err := checkHeader(module); err != nil {
		return Info{}, err
	}
	info, err := readModule(module)
	if err != nil {
		return Info{}, err
	}
	if info.Functions > maxFuncs {
		return Info{}, fmt.Errorf("module has %d functions, at most %d are compiled; build with optimisation for size", info.Functions, maxFuncs)
	}
	if err := info.checkImports(); err != nil {
		return Info{}, err
	}
	info.ABI, err = info.abi()
	if err != nil {
		return Info{}, err
	}
	if info.export("memory", "memory") == nil {
		return Info{}, errors.New(`module exports no memory named "memory"; export it, the host reads and writes there`)
	}
	return info, nil
}

// readModule is what a module declares; which ABI that makes is not looked at.
func readModule(module []byte) (Info, error) {
	l, err := instrument.Read(module)
	if err != nil {
		return Info{}, fmt.Errorf("not a WebAssembly module that can be read: %w", err)
	}
	return Info{
		Imports: l.Imports, Exports: l.Exports, MemoryMin: l.MemoryMin, MemoryMax: l.MemoryMax,
		Functions: l.Functions, LargestFunction: l.Largest,
	}, nil
}

func checkHeader(module []byte) error {
	switch {
	case len(module) > MaxModuleSize:
		return fmt.Errorf("module has %d bytes, at most %d are allowed; strip debug information, or build with optimisation for size", len(module), MaxModuleSize)
	case len(module) < 8 || !bytes.Equal(module[:4], magic):
		return errors.New("not a WebAssembly module: it does not start with \\0asm; give the .wasm file that the compiler wrote")
	case bytes.Equal(module[4:8], []byte{0x0d, 0, 1, 0}):
		return errors.New("this is a WebAssembly component, and only core modules run here; build for wasip1 (wasm32-wasip1) instead of wasip2, or unwrap the core module")
	case !bytes.Equal(module[4:8], []byte{1, 0, 0, 0}):
		return fmt.Errorf("WebAssembly binary version % x is not known, only version 1 of core modules is; build for wasm32 without newer formats", module[4:8])
	}
	return nil
}

// checkImports refuses what no agent of this release can link.
func (info *Info) checkImports() error {
	for _, im := range info.Imports {
		switch {
		case im.Module == wasiModule && im.Kind == "func":
		case im.Module == extismModule && im.Kind == "func":
			if err := checkExtismImport(im); err != nil {
				return err
			}
		case im.Module != hostModule || im.Kind != "func":
			return fmt.Errorf("module imports %s %s.%s; only functions of %s, %s and %s are linked, see wasm/ABI.md",
				im.Kind, im.Module, im.Name, hostModule, wasiModule, extismModule)
		default:
			if err := checkHostImport(im); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkHostImport(im Import) error {
	i := slices.IndexFunc(hostFuncs, func(f hostFunc) bool { return f.name == im.Name })
	switch {
	case i < 0:
		return fmt.Errorf("module imports skerry_v1.%s, which this release does not offer; see wasm/ABI.md, or update the agent", im.Name)
	case hostFuncs[i].signature() != im.Type:
		return fmt.Errorf("module imports skerry_v1.%s as %s, it is %s; use the declarations in wasm/guest", im.Name, im.Type, hostFuncs[i].signature())
	}
	return nil
}

// abi tells modules apart by what they export.
func (info *Info) abi() (ABI, error) {
	handle, start := info.export("func", "skerry_handle"), info.export("func", "_start")
	switch {
	case handle != nil && handle.Type != "()->i32":
		return "", fmt.Errorf("module exports skerry_handle as %s, it must be ()->i32; return 0 to commit, 1 to reject, 2 to retry", handle.Type)
	case handle != nil:
		return SkerryV1, info.checkOptional()
	case start != nil && start.Type != "()->":
		return "", fmt.Errorf("module exports _start as %s, it must be ()->", start.Type)
	case info.importsFrom(extismModule) && (start == nil || len(info.entries()) > 0):
		return Extism, nil
	case start != nil && info.importsFrom(extismModule):
		return "", fmt.Errorf("module is a WASI command that imports %s, which only plug-ins and guests of skerry_v1 may; export the plug-in's function as ()->i32, or use standard input and output", extismModule)
	case start != nil:
		return WASICommand, nil
	}
	return "", errors.New("module exports neither skerry_handle nor _start; start from wasm/guest, or build a WASI command")
}

// checkOptional checks the exports that skerry_v1 calls if they are there.
func (info *Info) checkOptional() error {
	for name, want := range map[string]string{"_initialize": "()->", "skerry_init": "()->i32"} {
		if ex := info.export("func", name); ex != nil && ex.Type != want {
			return fmt.Errorf("module exports %s as %s, it must be %s", name, ex.Type, want)
		}
	}
	return nil
}

func (info *Info) export(kind, name string) *Export {
	for i := range info.Exports {
		if ex := &info.Exports[i]; ex.Kind == kind && ex.Name == name && !ex.Imported {
			return ex
		}
	}
	return nil
}

func (info *Info) importsFrom(module string) bool {
	return slices.ContainsFunc(info.Imports, func(im Import) bool { return im.Module == module })
}

// modules names what the module imports from.
func (info *Info) modules() []string {
	var names []string
	for _, im := range info.Imports {
		if !slices.Contains(names, im.Module) {
			names = append(names, im.Module)
		}
	}
	return names
}

// isSource tells whether a module is JavaScript: text, not WebAssembly.
func isSource(module []byte) bool {
	return len(module) > 0 && !bytes.HasPrefix(module, magic) && utf8.Valid(module) && !bytes.ContainsRune(module, 0)
}

// validate compiles the module for the interpreter, which is quick and writes
// nothing, and checks its WASI imports against those that wazero has.
func validate(ctx context.Context, info Info, module []byte) (err error) {
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false))
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	if _, err := compile(ctx, rt, module); err != nil {
		return fmt.Errorf("module is not valid: %s; build it again, without features beyond WebAssembly 2.0", oneLine(err))
	}
	if !info.importsFrom(wasiModule) {
		return nil
	}
	wasi, err := wasi_snapshot_preview1.NewBuilder(rt).Compile(ctx)
	if err != nil {
		return fmt.Errorf("list the functions of %s: %w", wasiModule, err)
	}
	for _, im := range info.Imports {
		if im.Module == wasiModule && wasi.ExportedFunctions()[im.Name] == nil {
			return fmt.Errorf("module imports %s.%s, which is not part of WASI preview 1 as it runs here; build for wasip1", im.Module, im.Name)
		}
	}
	return nil
}

// oneLine is the first line of an error of wazero, without its prefix.
func oneLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimPrefix(line, "wasm error: ")
}
