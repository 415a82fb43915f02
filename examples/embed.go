// Package examples carries the example apps: their sources, which are the
// templates of `skerry new`, and the modules that are so small that the demo runs
// with nothing installed but the agent.
package examples

import "embed"

// Files holds <example>/<file> and start/<template>/<file>, and the modules of
// overheat, rollup and counter.
//
//go:embed */app.yaml */event.json */*_test.yaml */README.md */*.go */*.c */*.rs */*.ts */*.js
//go:embed start/*/app.yaml start/*/event.json start/*/README.md start/*/*_test.yaml
//go:embed start/*/*.go start/*/*.c start/*/*.toml start/*/*.lock start/*/src/*.rs start/*/*.ts start/*/*.json start/*/*.zig start/*/*.js
//go:embed overheat/overheat.wasm rollup/rollup.wasm counter/counter.wasm
var Files embed.FS
