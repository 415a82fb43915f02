// Package cases reads tests of functions, *_test.yaml, compares what functions did
// with what a test expects, and tells the difference to people and to programs. It
// runs nothing: who uses it plays a Test to the functions and makes an Outcome.
//
// A test gives events and state, and names what functions are to do: publishes,
// follow-ups, emitted events and dead letters, all of them, those of a kind in their
// order; log lines and changes of the state, if it names any of those; and the state
// afterwards, of the keys that it names. docs/cli.md has the format.
//
// What is wrong in a file is told with its line and path, one sentence each: unknown
// keys, keys that are given twice, values of the wrong kind, anchors.
package cases
