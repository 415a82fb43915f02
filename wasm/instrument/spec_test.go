package instrument_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// specFile is a file of the specification's tests, as wast2json writes it.
type specFile struct {
	Commands []specCommand `json:"commands"`
}

type specCommand struct {
	Type     string `json:"type"`
	Line     int    `json:"line"`
	Name     string `json:"name"`
	As       string `json:"as"`
	Filename string `json:"filename"`
	Text     string `json:"text"`
	Action   struct {
		Type   string      `json:"type"`
		Module string      `json:"module"`
		Field  string      `json:"field"`
		Args   []specValue `json:"args"`
	} `json:"action"`
}

type specValue struct {
	Type  string `json:"type"`
	Lane  string `json:"lane_type"`
	Value any    `json:"value"`
}

// words gives the value as the 64-bit words of a call.
func (v specValue) words() []uint64 {
	if v.Type != "v128" {
		s, _ := v.Value.(string)
		if s == "null" {
			return []uint64{0}
		}
		n, _ := strconv.ParseUint(s, 10, 64)
		if v.Type == "externref" {
			n++ // 0 is null
		}
		return []uint64{n}
	}
	bits, err := strconv.Atoi(v.Lane[1:])
	if err != nil {
		panic(err)
	}
	words := make([]uint64, 2)
	for i, lane := range v.Value.([]any) {
		n, _ := strconv.ParseUint(lane.(string), 10, 64)
		words[i*bits/64] |= n << (i * bits % 64)
	}
	return words
}

// specRun runs one file with plain or rewritten modules and notes what comes
// out of each command.
type specRun struct {
	t        *testing.T
	dir      string
	rt       wazero.Runtime
	meter    *meter
	rewrite  func([]byte) ([]byte, error)
	byName   map[string]api.Module
	current  api.Module
	refused  map[string]int
	apart    bool // a module that shares tables or globals with others was refused
	modules  int
	actions  int
	invalids int
}

// skipped is the outcome of what cannot be compared.
const skipped = "skipped"

var errRefused = errors.New("refused by Rewrite")

// panicked is the outcome where wazero does: 1.12.0 validates some modules wrongly
// where an int has 32 bits. Rewrite refuses these.
const panicked = "panicked"

func (s *specRun) command(c *specCommand) (outcome string) {
	defer func() {
		if v := recover(); v != nil {
			s.t.Logf("%s:%d %v", c.Filename, c.Line, v)
			outcome = panicked
		}
	}()
	switch c.Type {
	case "module":
		s.current = nil
		mod, err := s.instantiate(c)
		s.current = mod
		if c.Name != "" {
			s.byName[c.Name] = mod
		}
		if mod == nil && errors.Is(err, errRefused) {
			return skipped
		}
		if err != nil {
			return "module: " + kind(err)
		}
		s.modules++
		return "module"
	case "assert_uninstantiable", "assert_unlinkable":
		_, err := s.instantiate(c)
		if errors.Is(err, errRefused) {
			return "refused"
		}
		return kind(err)
	case "assert_invalid", "assert_malformed":
		return s.invalid(c)
	case "action", "assert_return", "assert_trap", "assert_exhaustion":
		return s.action(c)
	}
	return ""
}

// instantiate makes an instance of the file that c names. Registered modules
// come first: another module imports from them.
func (s *specRun) instantiate(c *specCommand) (api.Module, error) {
	bin, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	bin, err = s.rewrite(bin)
	if err != nil {
		s.refused[reason(err)]++
		s.apart = s.apart || strings.Contains(err.Error(), "imports")
		return nil, errRefused
	}
	return s.rt.InstantiateWithConfig(s.t.Context(), bin, wazero.NewModuleConfig().WithName(c.As))
}

// invalid tells whether a module that is not valid is refused, by Rewrite or
// by wazero.
func (s *specRun) invalid(c *specCommand) string {
	bin, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil || strings.HasSuffix(c.Filename, ".wat") {
		return skipped
	}
	if bin, err = s.rewrite(bin); err == nil {
		var m wazero.CompiledModule
		if m, err = s.rt.CompileModule(s.t.Context(), bin); err == nil {
			m.Close(s.t.Context())
			return "accepted"
		}
	}
	s.invalids++
	return "refused"
}

func (s *specRun) action(c *specCommand) string {
	mod := s.current
	if c.Action.Module != "" {
		mod = s.byName[c.Action.Module]
	}
	if mod == nil || s.apart && c.Action.Module != "" {
		return skipped
	}
	s.actions++
	if c.Action.Type == "get" {
		return fmt.Sprint(mod.ExportedGlobal(c.Action.Field).Get())
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.words()...)
	}
	if g := mod.ExportedGlobal(instrument.StackGlobal); g != nil {
		g.(api.MutableGlobal).Set(1 << 20)
		s.meter.fuel = 1 << 31
	}
	f := mod.ExportedFunction(c.Action.Field)
	results, err := f.Call(s.t.Context(), args...)
	if err != nil {
		return kind(err)
	}
	return fmt.Sprint(mask(results, f.Definition().ResultTypes()))
}

// mask clears what the type leaves undefined, and which NaN a NaN is; a
// reference is only null or not.
func mask(results []uint64, types []api.ValueType) (out []uint64) {
	for i, k := 0, 0; k < len(types); i, k = i+1, k+1 {
		switch v := results[i]; types[k] {
		case api.ValueTypeI32, api.ValueTypeF32:
			out = append(out, uint64(uint32(v)))
		case api.ValueTypeI64, api.ValueTypeF64:
			out = append(out, v)
		case 0x7b: // v128
			i++
			out = append(out, v, results[i])
		default:
			out = append(out, min(v, 1))
		}
	}
	return out
}

// kind is the first line of an error, without what differs between runs.
func kind(err error) string {
	if err == nil {
		return "ok"
	}
	if errors.Is(err, errStack) || strings.Contains(err.Error(), "stack overflow") {
		return "stack overflow"
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	if _, trap, ok := strings.Cut(line, "] failed: "); ok { // start function[3], which has another number
		return trap
	}
	return strings.TrimSuffix(line, " (recovered by wazero)")
}

// reason is the first part of a refusal, without the numbers in it.
func reason(err error) string {
	what, _, _ := strings.Cut(err.Error(), ";")
	words := strings.Fields(what)
	for i, w := range words {
		if strings.ContainsAny(w, "0123456789") {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}

// onPurpose are the reasons for which valid modules are refused.
var onPurpose = []string{
	"data segment … of the module lies outside of memory",
	"element segment … of the module lies outside of its table",
	"function … of the module cannot be run: its br_table instructions have more than … targets",
	"global … is a mutable … which cannot be saved",
	"the module imports a mutable global",
	"the module imports a table or an exception tag",
}

// wazeroDir is where the source of wazero is.
var wazeroDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	return strings.TrimSpace(string(out)), err
})

func specDir(t testing.TB) string {
	dir, err := wazeroDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "internal/integration_test/spectest")
}

// run gives the outcome of each command of a file.
func runSpec(t *testing.T, path string, config wazero.RuntimeConfig, rewrite func([]byte) ([]byte, error)) ([]string, *specRun, []specCommand) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file specFile
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	rt := wazero.NewRuntimeWithConfig(t.Context(), config)
	defer rt.Close(t.Context())
	s := &specRun{
		t: t, dir: filepath.Dir(path), rt: rt, rewrite: rewrite,
		byName: map[string]api.Module{}, refused: map[string]int{},
		meter: &meter{slice: 1 << 16, fuel: 1 << 31, stack: 1 << 20},
	}
	s.meter.link(t, rt)
	spectest, err := os.ReadFile(filepath.Join(specDir(t), "testdata/spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rt.Instantiate(t.Context(), spectest); err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range file.Commands {
		c := &file.Commands[i]
		if i+1 < len(file.Commands) && file.Commands[i+1].Type == "register" {
			c.As = file.Commands[i+1].As
		}
		out = append(out, s.command(c))
	}
	return out, s, file.Commands
}

func plainModule(b []byte) ([]byte, error) { return b, nil }

func rewrittenModule(b []byte) ([]byte, error) {
	res, err := instrument.Rewrite(b, instrument.Options{Remainders: true})
	return res.Module, err
}

// compareSpec runs a file plain and rewritten, and reports what differs.
func compareSpec(t *testing.T, file string, config wazero.RuntimeConfig) *specRun {
	want, _, commands := runSpec(t, file, config, plainModule)
	got, s, _ := runSpec(t, file, config, rewrittenModule)
	for i := range want {
		c := &commands[i]
		fine := got[i] == want[i] || got[i] == skipped || got[i] == "refused" && strings.HasPrefix(c.Type, "assert_")
		fine = fine && got[i] != panicked
		if !fine {
			t.Errorf("%s:%d %s: %s, plain %s", filepath.Base(file), c.Line, c.Type, got[i], want[i])
		}
	}
	return s
}

// specFiles gives the files of the second edition of the specification, and
// with TEST_LONG=1 those of the first too, which say little else.
func specFiles(t testing.TB, pattern string) (files []string) {
	editions := []string{"v2"}
	if os.Getenv("TEST_LONG") != "" {
		editions = []string{"v1", "v2"}
	}
	for _, v := range editions {
		found, err := filepath.Glob(filepath.Join(specDir(t), v, "testdata", pattern+".json"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

// TestSpec runs the tests of the specification that come with wazero.
func TestSpec(t *testing.T) {
	files := specFiles(t, "*")
	modules, actions, invalids, refused := 0, 0, 0, map[string]int{}
	for _, f := range files {
		s := compareSpec(t, f, wazero.NewRuntimeConfigInterpreter())
		modules += s.modules
		actions += s.actions
		invalids += s.invalids
		for r, n := range s.refused {
			refused[r] += n
		}
	}
	t.Logf("%d files, %d modules, %d actions, %d invalid modules", len(files), modules, actions, invalids)
	if modules < 1500 || actions < 45_000 || invalids < 2800 {
		t.Errorf("the tests of the specification were not all found")
	}
	for _, r := range slices.Sorted(maps.Keys(refused)) {
		t.Logf("%4d refused: %s", refused[r], r)
	}
	if got := slices.Sorted(maps.Keys(refused)); !slices.Equal(got, onPurpose) {
		t.Errorf("refused for %q", got)
	}
}

// TestSpecCompiled runs a sample as native code; with TEST_LONG=1, all.
func TestSpecCompiled(t *testing.T) {
	patterns := []string{"br_table", "call_indirect", "i64", "memory_copy", "bulk", "labels", "loop"}
	if os.Getenv("TEST_LONG") != "" {
		patterns = []string{"*"}
	}
	actions := 0
	for _, p := range patterns {
		for _, f := range specFiles(t, p) {
			actions += compareSpec(t, f, wazero.NewRuntimeConfigCompiler()).actions
		}
	}
	t.Logf("%d actions", actions)
}
