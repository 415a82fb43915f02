package manual

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/docs/schema"
	"github.com/skerry-edge/skerry/internal/cases"
)

var update = flag.Bool("update", false, "write docs/reference-manifest.md")

// TestReferenceIsThatOfTheSchemas holds docs/reference-manifest.md to docs/schema.
func TestReferenceIsThatOfTheSchemas(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Reference of the documents\n\nEvery key of `app.yaml`, `fleet.yaml`, `*_test.yaml` and `skerry.yaml`, generated from\n" +
		"[the schemas](schema/README.md): `go test ./internal/manual -run Reference -update`. What belongs together and\nwhy is in the guides: [the manifest](manifest.md), [the configuration](configuration.md), [targets](targets.md),\n[tests](cli.md#test).\n")
	for _, name := range schema.Names {
		root := properties(t, name)
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| key | is | default | means |\n|---|---|---|---|\n", name, root.Title)
		reference(t, &b, root, root, "")
	}
	path := filepath.Join("..", "..", "docs", "reference-manifest.md")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(path); err != nil || string(have) != b.String() {
		t.Errorf("docs/reference-manifest.md is not that of the schemas (%v): go test ./internal/manual -run Reference -update", err)
	}
}

// node is a part of a schema, as far as the reference tells of it.
type node struct {
	Title       string
	Ref         string           `json:"$ref"`
	Defs        map[string]*node `json:"$defs"`
	Description string
	Type        any
	Const       any
	Default     any
	Enum        []any
	Minimum     any
	Maximum     any
	MaxLength   any
	MaxItems    any
	Properties  ordered
	Required    []string
	Items       *node
	Additional  json.RawMessage `json:"additionalProperties"`
	AnyOf       []*node
	OneOf       []*node
}

// ordered are properties in the order of the file.
type ordered []property

type property struct {
	key  string
	node *node
}

// UnmarshalJSON reads an object, its keys in their order.
func (o *ordered) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		p := property{key: fmt.Sprint(key)}
		if err := dec.Decode(&p.node); err != nil {
			return err
		}
		*o = append(*o, p)
	}
	return nil
}

func properties(t *testing.T, name string) *node {
	t.Helper()
	text, err := schema.Of(name)
	if err != nil {
		t.Fatal(err)
	}
	var root node
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	return &root
}

// reference writes a line for each key of n, and below it those in it.
func reference(t *testing.T, b *strings.Builder, root, n *node, path string) {
	for _, p := range n.Properties {
		inner, ref := follow(root, p.node)
		at := strings.TrimPrefix(path+"."+p.key, ".")
		what := p.node.Description
		if what == "" {
			what = inner.Description
		}
		if what == "" {
			t.Errorf("%s: no description", at)
		}
		if slices.Contains(n.Required, p.key) {
			what += " (required)"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", at, kind(root, p.node, inner, ref), shownDefault(p.node, inner), strings.ReplaceAll(escape(what), "\n", " "))
		for suffix, sub := range within(root, inner) {
			reference(t, b, root, sub, at+suffix)
		}
	}
}

func follow(root, n *node) (*node, string) {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		return root.Defs[name], name
	}
	return n, ""
}

// within returns what has keys of its own in n: itself, its items or its values.
func within(root, n *node) map[string]*node {
	switch {
	case len(n.Properties) > 0:
		return map[string]*node{"": n}
	case n.Items != nil:
		if inner, _ := follow(root, n.Items); len(inner.Properties) > 0 {
			return map[string]*node{"[]": inner}
		}
	}
	var values node
	if json.Unmarshal(n.Additional, &values) == nil {
		if inner, _ := follow(root, &values); inner != nil && len(inner.Properties) > 0 {
			return map[string]*node{".NAME": inner}
		}
	}
	return nil
}

// kind says in a word or two what a value is.
func kind(root, n, inner *node, ref string) string {
	words := map[string]string{"quantity": "size", "urgency": "0 to 9", "ttl": "duration", "keepLatest": "true or false", "over": "wait or drop", "time": "duration"}
	switch {
	case words[ref] != "":
		return words[ref]
	case len(inner.Enum) > 0:
		return list(inner.Enum)
	case inner.Const != nil:
		return fmt.Sprintf("`%v`", inner.Const)
	case ref != "" && len(inner.Properties) == 0 && inner.Items == nil:
		return ref
	case inner.Items != nil:
		sub, of := follow(root, inner.Items)
		if len(sub.Enum) > 0 {
			return "list of " + list(sub.Enum)
		}
		return "list of " + strings.TrimSuffix(kind(root, inner.Items, sub, of), "s") + "s"
	}
	switch inner.Type {
	case "object":
		return "keys"
	case "boolean":
		return "true or false"
	case "integer", "number":
		word := map[any]string{"integer": "whole number", "number": "number"}[inner.Type]
		switch {
		case inner.Minimum != nil && inner.Maximum != nil:
			return fmt.Sprintf("%s, %v to %v", word, plain(inner.Minimum), plain(inner.Maximum))
		case inner.Minimum != nil:
			return fmt.Sprintf("%s from %v", word, plain(inner.Minimum))
		}
		return word
	case "string":
		return "text"
	case nil:
		return "any"
	}
	return "text"
}

// plain writes a number of JSON without an exponent.
func plain(v any) string {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return fmt.Sprint(int64(f))
	}
	return fmt.Sprint(v)
}

func list(values []any) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = "`" + plain(v) + "`"
	}
	return strings.Join(texts, ", ")
}

func shownDefault(n, inner *node) string {
	for _, at := range []*node{n, inner} {
		if at.Default != nil {
			return "`" + plain(at.Default) + "`"
		}
	}
	return ""
}

// escape keeps a text within its cell, and its brackets from being links and tags.
func escape(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "](", `]\(`).Replace(text)
}

var knownKeys = regexp.MustCompile(`known here: ([A-Za-z0-9_, ]+)`)

// TestSchemaOfTestsHasTheKeysOfTheDecoder asks the decoder for what it knows, with a
// key that it does not.
func TestSchemaOfTestsHasTheKeysOfTheDecoder(t *testing.T) {
	root := properties(t, "test")
	test, event, want := root.Defs["test"], root.Defs["event"], root.Defs["want"]
	sameKeys(t, "", "zzz: 1", root)
	sameKeys(t, "tests[]", "tests: [{zzz: 1}]", test)
	sameKeys(t, "events[]", "tests: [{events: [{zzz: 1}]}]", event)
	sameKeys(t, "expect[]", "tests: [{expect: [{zzz: 1}]}]", want)
	for _, p := range want.Properties {
		if len(p.node.Properties) > 0 {
			sameKeys(t, p.key, "tests: [{expect: [{"+p.key+": {zzz: 1}}]}]", p.node)
		}
	}
}

func sameKeys(t *testing.T, path, document string, n *node) {
	t.Helper()
	_, err := cases.Parse("a_test.yaml", []byte("apiVersion: skerry/v1\nkind: Test\n"+document))
	m := knownKeys.FindStringSubmatch(fmt.Sprint(err))
	if m == nil {
		t.Fatalf("%s: %v names no keys", path, err)
	}
	var have []string
	for _, p := range n.Properties {
		have = append(have, p.key)
	}
	slices.Sort(have)
	if known := strings.Split(m[1], ", "); !slices.Equal(have, known) {
		t.Errorf("docs/schema/test.schema.json, %s: has %v, the decoder knows %v", path, have, known)
	}
}
