package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/docs/schema"
)

// schemaOf compiles a schema of docs/schema.
func schemaOf(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, parsedSchema(t, name)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsedSchema(t *testing.T, name string) any {
	t.Helper()
	text, err := schema.Of(name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// valid says what a schema has against a document in YAML.
func valid(t *testing.T, s *jsonschema.Schema, document []byte) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal(document, &doc); err != nil {
		return err
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	if doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text)); err != nil {
		return err
	}
	return s.Validate(doc)
}

// TestSchemaOfTheConfigurationHasItsKeys compares it with what the decoder knows, both ways.
func TestSchemaOfTheConfigurationHasItsKeys(t *testing.T) {
	root, _ := parsedSchema(t, "config").(map[string]any)
	sameConfigKeys(t, "", root, reflect.TypeFor[Config]())
}

func sameConfigKeys(t *testing.T, path string, node map[string]any, typ reflect.Type) {
	t.Helper()
	properties, _ := node["properties"].(map[string]any)
	var inSchema []string
	for key := range properties {
		inSchema = append(inSchema, key)
	}
	known := slices.Clone(structKeys(typ))
	slices.Sort(inSchema)
	slices.Sort(known)
	if !slices.Equal(inSchema, known) {
		t.Errorf("docs/schema/config.schema.json, %s: has %v, the decoder knows %v", path, inSchema, known)
	}
	for _, f := range structFields(typ) {
		key, ft := f.Tag.Get("key"), f.Type
		inner, _ := properties[key].(map[string]any)
		if text, _ := inner["description"].(string); text == "" {
			t.Errorf("docs/schema/config.schema.json: %s has no description", join(path, key))
		}
		if ft.Kind() == reflect.Slice && ft.Elem().Kind() == reflect.Struct {
			inner, _ = inner["items"].(map[string]any)
			ft = ft.Elem()
		}
		if ft.Kind() == reflect.Struct && ft != reflect.TypeFor[time.Time]() {
			sameConfigKeys(t, join(path, key), inner, ft)
		}
	}
}

var wholeConfig = regexp.MustCompile(`(?m)^(device|data|broker|brokers|registry|targets|page|links|secrets|policy|telemetry|http_in|sources):`)

// TestSchemasTakeWhatTheDocsShow validates the documents of docs and examples.
func TestSchemasTakeWhatTheDocsShow(t *testing.T) {
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range schema.Names {
		schemas[name] = schemaOf(t, name)
	}
	check := func(where string, text []byte) {
		name := ""
		switch {
		case bytes.Contains(text, []byte("kind: App")):
			name = "app"
		case bytes.Contains(text, []byte("kind: Fleet")):
			name = "fleet"
		case bytes.Contains(text, []byte("kind: Test")):
			name = "test"
		case strings.Contains(where, "docs/") && !strings.HasSuffix(where, "manifest.md") && wholeConfig.Match(text) && !bytes.Contains(text, []byte("groups:")):
			name = "config"
		default:
			return
		}
		if err := valid(t, schemas[name], text); err != nil {
			t.Errorf("%s: docs/schema/%s.schema.json refuses it: %v\n%s", where, name, err, text)
		}
	}
	root := filepath.Join("..", "..")
	for _, pattern := range []string{"docs/*.md", "README.md", "wasm/guest/*/README.md", "examples/*/app.yaml", "examples/start/*/app.yaml", "examples/*/*_test.yaml", "examples/start/*/*_test.yaml", "internal/dist/deb/skerry.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			where := filepath.ToSlash(strings.TrimPrefix(file, root+"/"))
			if filepath.Ext(file) == ".yaml" {
				check(where, text)
				continue
			}
			for _, block := range yamlBlock.FindAllSubmatch(text, -1) {
				check(where, block[1])
			}
		}
	}
}

func TestSchemaCommandPrints(t *testing.T) {
	for _, name := range schema.Names {
		cmd, out := rootCommand(), &bytes.Buffer{}
		cmd.SetOut(out)
		cmd.SetArgs([]string{"schema", name})
		if err := cmd.Execute(); err != nil || !json.Valid(out.Bytes()) {
			t.Errorf("skerry schema %s: %v", name, err)
		}
	}
	cmd := rootCommand()
	cmd.SetArgs([]string{"schema", "apps"})
	if err := cmd.Execute(); err == nil || !strings.Contains(err.Error(), "app, fleet, test, config") {
		t.Errorf("%v, want the names", err)
	}
}
