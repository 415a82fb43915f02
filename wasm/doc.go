// Package wasm runs functions: WebAssembly modules, in wazero, each within its
// memory and its deadline. It is the agent's Loader.
//
// A module speaks one of two ABIs, told apart by its exports: skerry_v1
// (ABI.md), where a warm instance asks the host for the event and tells it
// what to do, or a WASI command, started afresh for each event with the data on
// standard input. Either way it reaches the agent only through an
// agent.Invocation, which checks permissions and limits.
//
// It promises that a module can touch nothing but its own memory and what the
// invocation grants, that a trap, a timeout or a refused memory.grow fails one
// run and nothing else, and that compiled code, instances and cache files are
// released when the last user closes them.
package wasm
