package fleetsync_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/skerry-edge/skerry/docs/schema"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// compiled are the schemas of the documents, by name.
var compiled = sync.OnceValue(func() map[string]*jsonschema.Schema {
	schemas := map[string]*jsonschema.Schema{}
	for _, name := range schema.Names {
		text, err := schema.Of(name)
		if err != nil {
			panic(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			panic(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, doc); err != nil {
			panic(err)
		}
		schemas[name] = c.MustCompile(name)
	}
	return schemas
})

// byShape are reasons to refuse a document that its schema knows of, too; all others
// need to know more than a document's shape: how long 90m is, say.
var byShape = regexp.MustCompile(`unknown key|expected (a|true|keys)|is not one of|: -?[0-9.]+ is out of range|is no (size|duration|name)\b|is required`)

// parseApp is ParseApp, with its word compared with the schema's: what the one accepts the
// other does, and what is refused for its shape is refused by both.
func parseApp(t testing.TB, name string, data []byte, checks fleetsync.Checks) (*fleetsync.App, error) {
	t.Helper()
	app, err := fleetsync.ParseApp(name, data, checks)
	compareWithSchema(t, "app", data, err)
	return app, err
}

// parseFleet is ParseFleet, compared likewise.
func parseFleet(t testing.TB, name string, data []byte) (*fleetsync.Fleet, error) {
	t.Helper()
	fleet, err := fleetsync.ParseFleet(name, data)
	compareWithSchema(t, "fleet", data, err)
	return fleet, err
}

func compareWithSchema(t testing.TB, name string, data []byte, refused error) {
	t.Helper()
	var doc any
	if yaml.Unmarshal(data, &doc) != nil {
		return // no document at all
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return // keys that are no texts
	}
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	switch bad := compiled()[name].Validate(doc); {
	case refused == nil && bad != nil:
		t.Errorf("docs/schema/%s.schema.json refuses what publish takes: %v\n%s", name, bad, data)
	case refused != nil && bad == nil && byShape.MatchString(refused.Error()):
		t.Errorf("docs/schema/%s.schema.json takes what is refused: %v", name, refused)
	}
}
