// Package skerry is for functions written in Go that run under Skerry, by the
// ABI in wasm/ABI.md. A function is a main package that gives its handler to
// Handle in an init function:
//
//	package main
//
//	import skerry "github.com/skerry-edge/skerry/wasm/guest/go"
//
//	func init() { skerry.Handle(handle) }
//
//	func main() {} // never called
//
//	func handle(ev *skerry.Event) error {
//		return skerry.Publish("seen/"+ev.Subject(), ev.Data(), skerry.QoS1)
//	}
//
// and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags="-s -w" -o my.wasm
//
// In a module of its own it finds this package in a checkout of Skerry, before
// that build:
//
//	go mod init example.com/my
//	go mod edit -replace=github.com/skerry-edge/skerry=/path/to/checkout
//	go mod tidy
//
// What a handler decides takes effect when it returns nil, and not at all when
// it returns an error: Reject sends the event to the dead-letter box, Retry and
// every other error have it run again later. The error of a call that the host
// refused has the host's own words: why, and what to grant. encoding/json works
// and costs about ten times what JSON does.
//
// On other platforms the package compiles, so that tools and tests of the
// function's own code work; calls to the host then answer ErrNoHost.
package skerry
