package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestGroupMemory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		groups string
		limits map[string]string // memory.max by group
		want   int64
	}{
		{"no control groups", "", nil, 0},
		{"version 1", "4:memory:/skerry\n", nil, 0},
		{"none", "0::/system.slice/skerry.service\n", map[string]string{"system.slice/skerry.service": "max"}, 0},
		{"its own", "0::/system.slice/skerry.service\n", map[string]string{"system.slice/skerry.service": "268435456", "system.slice": "max"}, 256 << 20},
		{"one above it is less", "0::/a/b\n", map[string]string{"a/b": "1000000", "a": "500000"}, 500000},
		{"a container", "0::/\n", map[string]string{".": "67108864"}, 64 << 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			put := func(name, text string) {
				file := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			put("proc/self/cgroup", tt.groups)
			for group, max := range tt.limits {
				put(filepath.Join("sys/fs/cgroup", group, "memory.max"), max+"\n")
			}
			if got := groupMemory(root); got != tt.want {
				t.Errorf("limit %d, want %d", got, tt.want)
			}
		})
	}
}
