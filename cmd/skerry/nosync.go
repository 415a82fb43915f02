//go:build nosync

package main

const noSync = true
