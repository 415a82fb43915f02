//go:build synceach

package main

const groupSize = 1
