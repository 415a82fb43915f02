//go:build !nosync

package main

// noSync leaves the journal unsynced. Only the agent that internal/powercut must
// find out is built with the tag nosync.
const noSync = false
