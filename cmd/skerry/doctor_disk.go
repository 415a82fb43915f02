package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is what a file system is mounted as.
type mount struct {
	Point   string   `json:"point"`
	Kind    string   `json:"kind"`    // ext4
	Source  string   `json:"source"`  // of the device, by the kernel
	Device  string   `json:"device"`  // major:minor
	Options []string `json:"options"` // of the mount and of the file system
}

// mountOf finds the mount that path is on, in the text of /proc/self/mountinfo.
func mountOf(mountinfo, path string) (m mount, ok bool) {
	for line := range strings.Lines(mountinfo) {
		before, after, found := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !found || len(left) < 6 || len(right) < 3 {
			continue
		}
		point := unescaped(left[4])
		under := path == point || strings.HasPrefix(path, strings.TrimSuffix(point, "/")+"/")
		if !under || len(point) < len(m.Point) { // of two at the same place the last counts
			continue
		}
		options := strings.Split(left[5]+","+right[2], ",")
		slices.Sort(options)
		m, ok = mount{point, right[0], unescaped(right[1]), left[2], slices.Compact(options)}, true
	}
	return m, ok
}

// unescaped undoes the kernel's \040 for a blank.
func unescaped(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// checkMount looks at how the file system of the data folder is mounted, root being
// that of the file system.
func checkMount(data, root string) []finding {
	text, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil // not on this kernel
	}
	dir, err := filepath.Abs(existing(data))
	if err != nil {
		return nil
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	m, ok := mountOf(string(text), dir)
	if !ok {
		return nil
	}
	has := func(options ...string) bool {
		return slices.ContainsFunc(options, func(o string) bool { return slices.Contains(m.Options, o) })
	}
	where := fmt.Sprintf("%s (%s)", m.Point, m.Kind)
	switch {
	case has("ro"):
		return []finding{{"disk", failing, where + " is mounted read-only", "mount it for writing, or put data elsewhere; after an error of the card: fsck, and think of a new one"}}
	case has("nobarrier", "barrier=0"):
		return []finding{{"disk", failing, where + " is mounted without barriers: a power cut loses what was acknowledged", "take nobarrier out of /etc/fstab"}}
	case m.Kind == "overlay" || m.Kind == "squashfs":
		return []finding{{"disk", warning, where + " may forget what is written at the next start", "put data on a partition or volume of its own"}}
	case slices.Contains([]string{"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "virtiofs"}, m.Kind):
		return []finding{{"disk", warning, where + " is on another machine, which decides whether fsync keeps anything", "put data on a disk of this device"}}
	case has("sync", "dirsync"):
		return []finding{{"disk", warning, where + " is mounted with sync: each write waits for the disk and wears it", "take sync out of /etc/fstab: the agent syncs what must be kept"}}
	case has("strictatime"):
		return []finding{{"disk", warning, where + " is mounted with strictatime: each read writes", "mount it with noatime"}}
	}
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) == nil && st.Files > 0 && st.Ffree < 1000 {
		return []finding{{"disk", failing, fmt.Sprintf("%s has %d inodes left: no more files can be made", where, st.Ffree), "remove small files that nobody needs; see df -i"}}
	}
	return append([]finding{{"disk", fine, where + ", " + mountWords(has), ""}}, checkWear(m.Device, root)...)
}

func mountWords(has func(...string) bool) string {
	if has("noatime") {
		return "noatime"
	}
	return "noatime would save a few writes"
}

// checkWear tells how worn the flash is that a device lies on, if that tells
// (eMMC does, SD cards do not).
func checkWear(device, root string) []finding {
	dir, err := filepath.EvalSymlinks(filepath.Join(root, "sys/dev/block", device))
	if err != nil {
		return nil
	}
	life, err := os.ReadFile(filepath.Join(dir, "device/life_time"))
	if err != nil { // a partition is a folder in that of its disk
		dir = filepath.Dir(dir)
		if life, err = os.ReadFile(filepath.Join(dir, "device/life_time")); err != nil {
			return nil
		}
	}
	worst := uint64(0) // in steps of 10 %, 11 is over
	for _, field := range strings.Fields(string(life)) {
		if n, err := strconv.ParseUint(strings.TrimPrefix(field, "0x"), 16, 8); err == nil {
			worst = max(worst, n)
		}
	}
	spare, _ := os.ReadFile(filepath.Join(dir, "device/pre_eol_info")) // older ones have none
	ending := strings.TrimSpace(string(spare))
	switch {
	case worst == 0:
		return nil
	case worst >= 11 || ending == "0x03":
		return []finding{{"wear", failing, "the flash has reached the end of its life, by its own count", "replace the device: it may fail at any time"}}
	case worst >= 9 || ending == "0x02":
		return []finding{{"wear", warning, fmt.Sprintf("the flash has used up to %d %% of its life, by its own count", worst*10), "plan its replacement; skerry uplink shows what the agent writes"}}
	}
	return []finding{{"wear", fine, fmt.Sprintf("the flash has used up to %d %% of its life, by its own count", worst*10), ""}}
}
