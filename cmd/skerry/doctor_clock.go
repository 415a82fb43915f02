package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// plausible is before any clock that goes right.
var plausible = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clockState is what a device knows about the time.
type clockState struct {
	Now    time.Time `json:"now"`
	Kept   bool      `json:"kept_right"`         // by NTP or such, the kernel says
	Keeper string    `json:"keeper,omitempty"`   // program that does it, if one runs
	RTC    string    `json:"rtc,omitempty"`      // clock that goes on without power; "" for none
	RTCOff int64     `json:"rtc_off_s,omitzero"` // by which it differs
}

// timeKeepers are programs that set the clock, as the kernel names them.
var timeKeepers = []string{"systemd-timesyn", "chronyd", "ntpd", "ntpsec", "openntpd", "ptp4l"}

// readClock looks at the clock of the system whose file system begins at root.
func readClock(root string) clockState {
	now, kept := wallClock()
	c := clockState{Now: now.UTC(), Kept: kept}
	names, _ := filepath.Glob(filepath.Join(root, "proc/[0-9]*/comm")) // the pattern is right
	for _, name := range names {
		text, err := os.ReadFile(name) // it may have ended
		if program := strings.TrimSpace(string(text)); err == nil && slices.Contains(timeKeepers, program) {
			c.Keeper = program
		}
	}
	for _, dir := range []string{"rtc0", "rtc1"} {
		text, err := os.ReadFile(filepath.Join(root, "sys/class/rtc", dir, "since_epoch"))
		if s, bad := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil {
			c.RTC, c.RTCOff = dir, s-now.Unix()
			break
		}
	}
	return c
}

// rtcTolerance is by how much it may differ: over that TLS and schedules suffer after a
// start without a network.
const rtcTolerance = 5 * time.Minute

func checkClock(root string) finding {
	c := readClock(root)
	now := c.Now.Format("2006-01-02 15:04 MST")
	off := (time.Duration(c.RTCOff) * time.Second).Abs()
	switch {
	case c.Now.Before(plausible):
		return finding{
			"clock", failing, "it says " + now + ", which is over: TLS will refuse certificates, and cron schedules fire at the wrong hour",
			"bring NTP, and let the agent start after time-sync.target",
		}
	case !c.Kept && c.Keeper != "":
		return finding{
			"clock", warning, "it says " + now + "; " + c.Keeper + " runs, and has not set it right yet",
			"see that it reaches a time server: timedatectl timesync-status, chronyc sources or ntpq -p",
		}
	case !c.Kept:
		return finding{
			"clock", warning, "it says " + now + ", and nothing keeps it right",
			"run an NTP client (systemd-timesyncd, chrony); in a container the host does it",
		}
	case c.RTC != "" && off > rtcTolerance:
		return finding{"clock", warning, fmt.Sprintf("%s, kept right, but the clock that goes on without power (%s) is %s off", now, c.RTC, off), "hwclock --systohc --utc; a new battery if it is off again"}
	case c.RTC == "":
		return finding{"clock", fine, now + ", kept right; there is no clock that goes on without power, so after a power cut schedules wait for NTP, clock.wait at most", ""}
	}
	return finding{"clock", fine, now + ", kept right", ""}
}

// kernelState is what the kernel says of its clock, for the support bundle.
func kernelState() string {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("state %d, status %#x, estimated error %d us", state, t.Status, t.Esterror)
}
