// Package examples carries the example apps whose modules are small, so that
// the demo runs with nothing installed but the agent.
package examples

import "embed"

// Files holds <example>/app.yaml and <example>/<example>.wasm of overheat,
// rollup and counter.
//
//go:embed overheat/app.yaml overheat/overheat.wasm
//go:embed rollup/app.yaml rollup/rollup.wasm
//go:embed counter/app.yaml counter/counter.wasm
var Files embed.FS
