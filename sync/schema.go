package fleetsync

import "embed"

// Schemas holds the JSON Schemas of the documents, for editors:
// schema/app.schema.json and schema/fleet.schema.json. The agent itself does
// not use them; ParseApp and ParseFleet are stricter.
//
//go:embed schema/*.json
var Schemas embed.FS
