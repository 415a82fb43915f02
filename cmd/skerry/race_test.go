//go:build race

package main

const raceDetector = true

// The race detector keeps notes beside all memory: several times as much is taken.
const memoryBound = 512 << 20 // resident bytes of the gateway, under whatever load
