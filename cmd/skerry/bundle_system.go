package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent/admin"
)

// buildFacts are what this program was made of.
type buildFacts struct {
	Version  string            `json:"version"`
	Go       string            `json:"go"`
	Platform string            `json:"platform"`
	Settings map[string]string `json:"settings"`
	Modules  map[string]string `json:"modules"`
}

func readBuild() buildFacts {
	b := buildFacts{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, map[string]string{}, map[string]string{}}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		if s.Key != "-ldflags" { // where it was built
			b.Settings[s.Key] = s.Value
		}
	}
	for _, m := range info.Deps {
		b.Modules[m.Path] = m.Version
	}
	return b
}

// systemFacts are what the device is and how it is.
type systemFacts struct {
	Kernel   string            `json:"kernel"`
	Machine  string            `json:"machine"`
	Board    string            `json:"board,omitempty"`
	OS       string            `json:"os,omitempty"`
	CPUs     int               `json:"cpus"`
	Uptime   string            `json:"uptime_load,omitempty"` // seconds since the start; load
	Memory   map[string]string `json:"memory"`
	Cgroup   map[string]string `json:"cgroup,omitempty"`   // limits of the group that this command runs in
	Pressure map[string]string `json:"pressure,omitempty"` // share of time that something waited
	Clock    clockState        `json:"clock"`
	Kept     string            `json:"clock_kernel"`
	Mounts   []mountFacts      `json:"mounts"`
	Env      []string          `json:"environment"` // names of our variables that are set
}

// mountFacts are about the file system of a folder that matters.
type mountFacts struct {
	Folder string `json:"folder"`
	mount
	Total     uint64 `json:"total_bytes"`
	Free      uint64 `json:"free_bytes"`
	Inodes    uint64 `json:"inodes"`
	FreeNodes uint64 `json:"free_inodes"`
}

// readSystem looks at this device; folders are those that matter.
func readSystem(folders ...string) systemFacts {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		u = unix.Utsname{} // what is left is said all the same
	}
	s := systemFacts{
		Kernel: unix.ByteSliceToString(u.Release[:]) + " " + unix.ByteSliceToString(u.Version[:]), Machine: unix.ByteSliceToString(u.Machine[:]),
		Board: strings.TrimRight(oneText("/proc/device-tree/model"), "\x00"), CPUs: runtime.NumCPU(),
		Uptime: oneText("/proc/uptime") + " / " + oneText("/proc/loadavg"), Clock: readClock("/"), Kept: kernelState(),
		Memory: pairsOf("/proc/meminfo", ":", "MemTotal", "MemFree", "MemAvailable", "SwapTotal", "SwapFree", "Dirty", "Writeback", "Slab"),
		OS:     strings.Trim(pairsOf("/etc/os-release", "=", "PRETTY_NAME")["PRETTY_NAME"], `"`),
		Cgroup: map[string]string{}, Pressure: map[string]string{},
	}
	for _, name := range []string{"memory.max", "memory.high", "cpu.max", "pids.max"} {
		if text := oneText(filepath.Join("/sys/fs/cgroup", cgroup(), name)); text != "" {
			s.Cgroup[name] = text
		}
	}
	for _, name := range []string{"cpu", "io", "memory"} {
		if text := oneText("/proc/pressure/" + name); text != "" {
			s.Pressure[name] = text
		}
	}
	for _, folder := range folders {
		if f, ok := mountFactsOf(folder); ok {
			s.Mounts = append(s.Mounts, f)
		}
	}
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, envPrefix) {
			s.Env = append(s.Env, name)
		}
	}
	return s
}

// oneText is a small file of the kernel, "" if there is none.
func oneText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return spaced(string(text))
}

// pairsOf reads some of the lines NAME SEPARATOR VALUE of a file.
func pairsOf(path, separator string, wanted ...string) map[string]string {
	out := map[string]string{}
	text, err := os.ReadFile(path)
	if err != nil {
		return out
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), separator)
		for _, w := range wanted {
			if w == name {
				out[name] = strings.TrimSpace(value)
			}
		}
	}
	return out
}

// cgroup is the group of this process, in the only hierarchy of version 2.
func cgroup() string {
	_, path, _ := strings.Cut(oneText("/proc/self/cgroup"), "0::")
	path, _, _ = strings.Cut(path, " ")
	return path
}

func mountFactsOf(folder string) (f mountFacts, ok bool) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return f, false
	}
	dir, err := filepath.Abs(existing(folder))
	if err != nil {
		return f, false
	}
	f.Folder = folder
	if f.mount, ok = mountOf(string(text), dir); !ok {
		return f, false
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil {
		size := uint64(st.Bsize)
		f.Total, f.Free, f.Inodes, f.FreeNodes = st.Blocks*size, st.Bavail*size, st.Files, st.Ffree
	}
	return f, true
}

const maxListed = 2000 // files

// filesBelow lists the files of a data directory; those of compiled code and of the
// identity have names that say enough.
func filesBelow(dir string) (all []admin.DataFile, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has just gone, or is somebody else's
		}
		info, gone := d.Info()
		name, outside := filepath.Rel(dir, path)
		if gone != nil || outside != nil || d.IsDir() {
			return nil
		}
		if len(all) == maxListed {
			return fs.SkipAll
		}
		all = append(all, admin.DataFile{Path: name, Bytes: info.Size(), Mode: info.Mode().String(), Modified: info.ModTime().UTC().Truncate(time.Second)})
		return nil
	})
	return all, err
}
