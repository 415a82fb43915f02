package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

func checkCPU() finding {
	text := fmt.Sprintf("%d CPUs, %s", runtime.NumCPU(), runtime.GOARCH)
	if model, err := os.ReadFile("/proc/device-tree/model"); err == nil { // boards have it, PCs do not
		text += ", " + shown(strings.TrimRight(string(model), "\x00"))
	}
	return finding{"cpu", fine, text, ""}
}

// checkMemory compares what the device has with what functions may take; nil
// if they are not known.
func checkMemory(functions []agent.Function) finding {
	total, available, err := memoryOf("/proc/meminfo")
	if err != nil {
		return finding{"memory", warning, "it cannot be told how much there is: " + err.Error(), ""}
	}
	text := fmt.Sprintf("%s, %s of it available", agent.BytesText(total), agent.BytesText(available))
	var most int64
	for i := range functions {
		most += functions[i].Limits.Memory * int64(functions[i].Limits.Concurrency)
	}
	if len(functions) > 0 {
		text += fmt.Sprintf("; the functions of its fleet (%d) may take %s, as their limits say", len(functions), agent.BytesText(most))
	}
	if most > total*6/10 {
		return finding{"memory", warning, text, "lower limits.memory or limits.concurrency of the functions: more than 60 % leaves too little for the agent and the system"}
	}
	return finding{"memory", fine, text, ""}
}

// memoryOf reads MemTotal and MemAvailable, in bytes.
func memoryOf(path string) (total, available int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
			total = kib << 10
		}
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
			available = kib << 10
		}
	}
	if total == 0 {
		return 0, 0, fmt.Errorf("%s has no MemTotal", path)
	}
	return total, available, nil
}

// checkRegistry asks the registry what it has for this device.
func checkRegistry(ctx context.Context, cfg *Config) (out []finding, functions []agent.Function) {
	if cfg.Registry.Ref == "" {
		return []finding{{"registry", warning, "none is configured, so nothing will run", "set registry.ref"}}, nil
	}
	reg, err := cfg.Registry.open(-1, reachedAlone)
	if err != nil {
		return []finding{{"registry", failing, oneSentence(err), "mend the section registry"}}, nil
	}
	root, err := cfg.Registry.root()
	if err != nil {
		return []finding{{"registry", failing, oneSentence(err), "mend registry.root_file"}}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	share, err := reg.Look(ctx, cfg.device(), fleetsync.PullerOptions{Root: root, Now: reachedAlone, Checks: deviceChecks()})
	switch {
	case errors.Is(err, fleetsync.ErrNothingPublished):
		return []finding{{"registry", warning, reg.String() + " answers, and nothing is published there", "publish an app with skerry publish"}}, nil
	case err != nil:
		return []finding{{"registry", warning, oneSentence(err), "until that is mended the agent runs what it has cached"}}, nil
	}
	var names []string
	for _, a := range share.Deployment.Apps {
		names = append(names, a.Name+"@"+a.Version)
	}
	text := fmt.Sprintf("%s, fleet %q at revision %d: ", reg, share.Fleet, share.Revision)
	if len(names) == 0 {
		text += "no app for this device"
	}
	out = append(out, finding{"registry", fine, text + strings.Join(names, ", "), ""}, checkSigned(&share))
	for _, reason := range share.Held {
		out = append(out, finding{"app", warning, reason, ""})
	}
	rule := func(fn agent.Function) bool { return fn.Rule } // it has no module
	return out, slices.DeleteFunc(share.Deployment.Functions, rule)
}

// checkSigned tells how long what is published is good for.
func checkSigned(share *fleetsync.Share) finding {
	text := fmt.Sprintf("by this fleet's keys (root %d) on %s, good until %s", share.Root, share.Issued.UTC().Format(time.DateOnly), share.Expires.UTC().Format(time.DateOnly))
	if half := share.Issued.Add(share.Expires.Sub(share.Issued) / 2); reachedAlone().After(half) {
		return finding{"signed", warning, text, "publish again, which renews it: then nothing new would be taken"}
	}
	return finding{"signed", fine, text, ""}
}

// Magic numbers of file systems, see statfs(2).
const (
	magicFAT   = 0x4d44
	magicExFAT = 0x2011bab0
	magicTmpfs = 0x01021994
)

func checkData(cfg *Config) finding {
	dir := existing(cfg.Data)
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return finding{"data", failing, fmt.Sprintf("%s: %v", dir, err), "mend data in the configuration"}
	}
	free := int64(st.Bavail) * int64(st.Bsize) // of different types on different platforms
	text := fmt.Sprintf("%s has %s free, and limits.disk is %s", cfg.Data, agent.BytesText(free), agent.BytesText(int64(cfg.Limits.Disk)))
	switch magic := int64(st.Type); {
	case unix.Access(dir, unix.W_OK) != nil:
		return finding{"data", failing, dir + " cannot be written to by this user", "run doctor as the agent's user, or give it the folder: chown skerry " + dir}
	case magic == magicFAT || magic == magicExFAT:
		return finding{"data", failing, cfg.Data + " is on a FAT file system, which loses new files on a power cut", "put data on ext4 or f2fs"}
	case free < minDisk:
		return finding{"data", failing, text, "free some space: the agent needs 16 MiB at least"}
	case magic == magicTmpfs:
		return finding{"data", warning, cfg.Data + " is in memory (tmpfs): what was acknowledged is lost with the power", "put data on ext4 or f2fs, unless that is agreed"}
	case free < int64(cfg.Limits.Disk):
		return finding{"data", warning, text, "free some space, or lower limits.disk, so that the agent is the one to say that it is full"}
	}
	return finding{"data", fine, text, ""}
}

// existing is path, or the nearest folder above it that is there.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// checkCache looks at the folder of compiled code: who can write there decides
// what the agent executes.
func checkCache(cfg *Config) finding {
	dir := filepath.Join(cfg.Data, compiledDir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding{"cache", fine, dir + " is made when the first function is compiled", ""}
	case err != nil:
		return finding{"cache", failing, err.Error(), "run doctor as the agent's user"}
	case !info.IsDir():
		return finding{"cache", failing, dir + " is no folder", "remove it: the agent makes it anew"}
	case info.Mode().Perm()&0o022 != 0:
		return finding{"cache", failing, fmt.Sprintf("%s has mode %04o: others could put code there that the agent executes", dir, info.Mode().Perm()), "rm -r " + dir + ": the agent makes it anew"}
	case info.Mode().Perm()&0o055 != 0:
		return finding{"cache", warning, fmt.Sprintf("%s has mode %04o: others can read it", dir, info.Mode().Perm()), "chmod 700 " + dir}
	}
	return finding{"cache", fine, dir + " belongs to the agent alone", ""}
}
