// Package javascript holds the engine that runs functions written in
// JavaScript: QuickJS as one WebAssembly module that speaks skerry_v1
// (wasm/ABI.md) and asks for its source through two more imports.
//
// It promises nothing beyond what the engine is: limits, deadlines and
// permissions are those of every other module, and are the host's to enforce.
// README.md has the interface that authors see.
package javascript
