// Package guest carries the sources of the SDKs, so that a project has all it
// needs to be built where there is no network.
package guest

import "embed"

// Files holds <language>/<file>, of Rust also rust/src/<file>.
//
//go:embed c/*.h rust/Cargo.toml rust/src/*.rs assemblyscript/*.ts zig/*.zig go/*.go
var Files embed.FS
