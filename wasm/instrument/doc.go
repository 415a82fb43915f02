// Package instrument rewrites a core WebAssembly module when it is installed,
// so that a host on wazero can bound the time, stack and memory of code that
// strangers wrote. README.md says what it promises and what it does not.
//
// The module is decoded completely and written anew in the shortest encoding:
// no byte of code reaches the output unread, so that wazero cannot understand
// an instruction otherwise than this package did.
package instrument
