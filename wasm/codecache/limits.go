package codecache

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// limit keeps this process within j from now on, as the first that the system
// kills when memory is short, and behind the agent where processors are.
func (j *job) limit() error {
	closeInherited()
	// Best effort: some containers forbid it, and the limits below hold anyway.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	_ = unix.Setpriority(unix.PRIO_PGRP, 0, 10) // all threads: the group is this process

	runtime.GOMAXPROCS(1)                  // compiling is no faster with more, and the agent keeps the others
	debug.SetMemoryLimit(j.memory / 8 * 7) // collect garbage before being killed
	mapped, _, err := memoryOf(os.Getpid())
	if err != nil {
		return err
	}
	return errors.Join(
		setLimit(unix.RLIMIT_CORE, 0),
		setLimit(unix.RLIMIT_FSIZE, uint64(j.size)), // more would not be kept
		setLimit(unix.RLIMIT_CPU, uint64(j.time.Seconds())+2),
		setLimit(unix.RLIMIT_AS, uint64(mapped+j.memory+addressSlack)),
	)
}

// addressSlack is address space beyond what is mapped at the start and the memory
// limit. Go takes arenas of 64 MiB and never gives them back: a module of Go
// needs 370 MiB of addresses for 60 MiB of memory. This limit is for what grows
// too fast for the watching parent.
const addressSlack = 512 << 20

// defaultMemory leaves half of a small device, or of a small control group, to
// those who work there.
func defaultMemory() int64 {
	most := int64(1 << 30)
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		most = min(most, int64(min(uint64(info.Totalram)*uint64(info.Unit), 1<<40)))
	}
	if own, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		most = min(most, groupMemory(string(own)))
	}
	return most / 2
}

// groupMemory is what the control group of this process may take (cgroup v2),
// or one around it.
func groupMemory(own string) int64 {
	most := int64(1 << 40)
	_, group, _ := strings.Cut(own, "0::")
	group, _, _ = strings.Cut(group, "\n")
	for ; group != "" && group != "/" && group != "."; group = path.Dir(group) {
		limit, err := os.ReadFile(path.Join("/sys/fs/cgroup", group, "memory.max"))
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(limit)), 10, 64); err == nil { // else "max"
			most = min(most, n)
		}
	}
	return most
}

func setLimit(resource int, n uint64) error {
	var now unix.Rlimit
	if err := unix.Getrlimit(resource, &now); err != nil {
		return err
	}
	n = min(n, uint64(now.Max))
	return unix.Setrlimit(resource, &unix.Rlimit{Cur: n, Max: n})
}

// closeInherited closes files that the agent got from who started it and handed
// on without knowing. Go marks its own as not to be inherited.
func closeInherited() {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range all {
		fd, err := strconv.Atoi(filepath.Base(e.Name()))
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
}
