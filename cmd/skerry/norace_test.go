//go:build !race

package main

const raceDetector = false

const memoryBound = 128 << 20 // resident bytes of the gateway, under whatever load
