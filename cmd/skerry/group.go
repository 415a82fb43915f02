//go:build !synceach

package main

// groupSize is how many outcomes share a sync, 0 for as many as the agent likes.
// Only the agent that internal/bench compares with is built with the tag synceach.
const groupSize = 0
