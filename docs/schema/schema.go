// Package schema holds the JSON Schemas of the documents that people write, for
// editors and for the reference that is generated from them. The program itself
// reads documents with decoders of its own, which are stricter.
package schema

import "embed"

// Files are app, fleet, test and config.schema.json.
//
//go:embed *.schema.json
var Files embed.FS

// Names are the documents that there are schemas of.
var Names = []string{"app", "fleet", "test", "config"}

// Of returns the schema of one of Names.
func Of(name string) ([]byte, error) { return Files.ReadFile(name + ".schema.json") }
