package main

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// ofGroup is the part of what a control group may have that the heap grows to before
// garbage is collected more often. The rest is for compiling, in a process of
// its own, for what the database maps, and for the kernel.
const ofGroup = 0.6

// limitMemory has the runtime heed the limit of the process's control group (MemoryMax=
// of systemd, --memory of containers). GOMEMLIMIT says something else.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if max := groupMemory("/"); max > 0 {
		debug.SetMemoryLimit(int64(ofGroup * float64(max)))
	}
}

// groupMemory is the least limit of the control groups that this process is in, bytes, 0
// if there is none. It knows version 2 of control groups; root is of the file system.
func groupMemory(root string) int64 {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ; ok; group = path.Dir(group) {
			max, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup", group, "memory.max"))
			if n, bad := strconv.ParseInt(strings.TrimSpace(string(max)), 10, 64); err == nil && bad == nil { // else it is "max"
				least = min(least, n)
			}
			ok = strings.Trim(group, "/.") != ""
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
