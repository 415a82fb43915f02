package fleetsync_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/docs/schema"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func TestVariantsOfRequirementsAndPatchesAreRefused(t *testing.T) {
	for _, v := range []variant{
		{"functions:", "requires: {agent: 0.4.0}\nfunctions:", `app.yaml:4: requires.agent: "0.4.0" is no requirement: write the least version, as in ">=0.4.0"`},
		{"functions:", "requires: {agent: \">=0.4\"}\nfunctions:", `app.yaml:4: requires.agent: ">=0.4" is no requirement`},
		{"functions:", "requires: {arch: [arm64, aarch64]}\nfunctions:", `app.yaml:4: requires.arch[1]: "aarch64" is not one of 386, amd64, arm, arm64, riscv64`},
		{"functions:", "requires: {memory: many}\nfunctions:", `app.yaml:4: requires.memory: "many" is no size`},
		{"functions:", "requires: {engine: jit}\nfunctions:", `app.yaml:4: requires.engine: "jit" is not one of compiler, interpreter`},
		{"functions:", "requires: {features: [a, a]}\nfunctions:", `app.yaml:4: requires.features[1]: "a" is given twice`},
		{"functions:", "requires: {cpu: 4}\nfunctions:", "app.yaml:4: requires.cpu: unknown key; known here: agent, arch, disk, engine, features, memory"},
		{"functions:", "stateVersion: -1\nfunctions:", "app.yaml:4: stateVersion: -1 is out of range: 0 to 1000000000"},
		{"{path: ./threshold.wasm}", "{path: a, patches: [" + patchLine(1) + "]}", "app.yaml:6: functions.threshold.module.patches: publish makes them: remove the key"},
		{"{path: ./threshold.wasm}", digestModule("{from: x, digest: y, size: 0, format: bsdiff}"), `functions.threshold.module.patches[0].from: "x" is no digest`},
		{"{path: ./threshold.wasm}", digestModule("{from: x, digest: y, size: 0, format: bsdiff}"), `functions.threshold.module.patches[0].size: 0 bytes is no size of a patch`},
		{"{path: ./threshold.wasm}", digestModule("{from: x, digest: y, size: 0, format: bsdiff}"), `functions.threshold.module.patches[0].format: "bsdiff" is not one of zstd`},
		{"{path: ./threshold.wasm}", digestModule(patchLine(1) + ", " + patchLine(1)), `functions.threshold.module.patches[1].from: there is a patch from`},
	} {
		v.isRefused(t)
	}
}

func TestVariantsOfHealthAreRefused(t *testing.T) {
	for _, v := range []variant{
		{"percent: 10", "health: {window: 1ms}", "fleet.yaml:11: assignments[0].health.window: 1ms is out of range: 1s to 168h"},
		{"percent: 10", "health: {minInvocations: 0}", "fleet.yaml:11: assignments[0].health.minInvocations: 0 is out of range"},
		{"percent: 10", "health: {maxErrorPercent: 101}", "fleet.yaml:11: assignments[0].health.maxErrorPercent: 101 is no percentage: 0 to 100"},
		{"percent: 10", "health: {maxP99: 16m}", "fleet.yaml:11: assignments[0].health.maxP99: 16m is out of range: 1ms to 15m"},
		{"percent: 10", "health: {maxTraps: -1}", "fleet.yaml:11: assignments[0].health.maxTraps: -1 is out of range"},
		{"percent: 10", "health: {onFailure: stop}", `fleet.yaml:11: assignments[0].health.onFailure: "stop" is not one of rollback, keep`},
		{"version: none", "version: none, health: {window: 1m}", "assignments[1].health: version: none runs nothing that could be judged: remove it"},
	} {
		t.Run(v.want, func(t *testing.T) {
			_, err := parseFleet(t, "fleet.yaml", []byte(strings.Replace(goodFleet, v.from, v.to, 1)))
			wantErr(t, err, v.want)
		})
	}
}

// patchLine is a patch from the module of n.
func patchLine(n byte) string {
	return fmt.Sprintf(`{from: "%s", digest: "%s", size: 9, format: zstd}`, digestOf([]byte{n}), digestOf([]byte{n, n}))
}

func digestModule(patches string) string {
	return fmt.Sprintf(`{digest: "%s", size: 9, patches: [%s]}`, digestOf(nil), patches)
}

func TestRequiresHealthAndPatchesAreRead(t *testing.T) {
	text := strings.Replace(goodApp, "functions:", `requires: {agent: ">=0.4.0-rc.1", arch: [arm64, arm], memory: 64Mi, disk: 16Mi, engine: compiler, features: [patches]}
stateVersion: 3
functions:`, 1)
	text = strings.Replace(text, "{path: ./threshold.wasm}", digestModule(patchLine(1)+", "+patchLine(2)), 1)
	app, err := parseApp(t, "app.yaml", []byte(text), strictChecks)
	if err != nil {
		t.Fatal(err)
	}
	want := fleetsync.AppRequires{Agent: ">=0.4.0-rc.1", Arch: []string{"arm64", "arm"}, Memory: 64 << 20, Disk: 16 << 20, Engine: "compiler", Features: []string{"patches"}}
	if fmt.Sprint(*app.Requires) != fmt.Sprint(want) || app.StateVersion != 3 || len(app.Functions["threshold"].Module.Patches) != 2 {
		t.Errorf("%+v, %d, %+v", app.Requires, app.StateVersion, app.Functions["threshold"].Module)
	}
	fleet, err := parseFleet(t, "fleet.yaml", []byte(strings.NewReplacer("jitter: 30m", "keepVersions: 3",
		"percent: 10", "health: {window: 5m, minInvocations: 7, maxErrorPercent: 0, maxP99: 20ms, maxTraps: 0, maxMemory: 8Mi, onFailure: keep}").Replace(goodFleet)))
	if err != nil {
		t.Fatal(err)
	}
	h := fleet.Assignments[0].Health
	if h == nil || *h.MinInvocations != 7 || *h.MaxErrorPercent != 0 || *h.MaxTraps != 0 || h.MaxMemory != 8<<20 || h.OnFailure != "keep" || *fleet.Sync.KeepVersions != 3 {
		t.Errorf("%+v, %+v", h, fleet.Sync)
	}
}

// Editors complete by the schemas what the documents have, and nothing else.
func TestSchemasHaveTheKeysOfTheDocuments(t *testing.T) {
	for file, doc := range map[string]any{"app": fleetsync.App{}, "fleet": fleetsync.Fleet{}} {
		data, err := schema.Of(file)
		if err != nil {
			t.Fatal(err)
		}
		var root map[string]any
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
		sameKeys(t, file, root, root, reflect.TypeOf(doc))
	}
}

// sameKeys compares the properties of an object in a schema with a struct's keys.
func sameKeys(t *testing.T, path string, root, node map[string]any, typ reflect.Type) {
	t.Helper()
	if ref, ok := node["$ref"].(string); ok {
		node = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		sameKeys(t, path, root, node, typ.Elem())
	case reflect.Slice, reflect.Map:
		for _, key := range []string{"items", "additionalProperties"} {
			if inner, ok := node[key].(map[string]any); ok {
				sameKeys(t, path+"[]", root, inner, typ.Elem())
			}
		}
	case reflect.Struct:
		properties, _ := node["properties"].(map[string]any)
		var keys []string
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			keys = append(keys, key)
			if inner, ok := properties[key].(map[string]any); ok {
				sameKeys(t, path+"."+key, root, inner, typ.Field(i).Type)
			}
		}
		slices.Sort(keys)
		if got := slices.Sorted(maps.Keys(properties)); !slices.Equal(got, keys) {
			t.Errorf("schema %s has the keys %v, the document %v", path, got, keys)
		}
	}
}
