package uplink_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

const aloneEnv = "SKERRY_TEST_ALONE"

// alone runs the test again in a child with a network of its own, of which only
// that test's packets are, and tells whether this is the child.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneEnv) != "" {
		openLoopback(t)
		return true
	}
	child := func(user bool) ([]byte, error) {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), aloneEnv+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		if user { // anybody may make a network within a user namespace
			cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
		}
		return cmd.CombinedOutput()
	}
	out, err := child(os.Geteuid() != 0)
	if errors.Is(err, unix.EPERM) && os.Geteuid() == 0 { // root of a container
		out, err = child(true)
	}
	var failed *exec.ExitError
	switch {
	case err == nil:
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "_test.go:") {
				t.Log(strings.TrimSpace(line))
			}
		}
	case errors.As(err, &failed):
		t.Fatalf("in a network of its own: %v\n%s", err, out)
	default:
		t.Fatalf("this test counts packets in a network namespace of its own, which this system refuses (%v): run it as root, or allow user namespaces with "+
			"sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=1000 kernel.apparmor_restrict_unprivileged_userns=0", err)
	}
	return false
}

// openLoopback makes lo behave as a network card does: packets of 1500 bytes,
// each of which is counted as one.
func openLoopback(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	set := func(req uint, value uint32) {
		ifr, err := unix.NewIfreq("lo")
		if err != nil {
			t.Fatal(err)
		}
		if req == unix.SIOCSIFFLAGS {
			ifr.SetUint16(uint16(value))
		} else {
			ifr.SetUint32(value)
		}
		if err := unix.IoctlIfreq(fd, req, ifr); err != nil {
			t.Fatalf("set up lo: %v", err)
		}
	}
	set(unix.SIOCSIFMTU, 1500)
	for _, cmd := range []uint32{unix.ETHTOOL_STSO, unix.ETHTOOL_SGSO, unix.ETHTOOL_SGRO} {
		value := struct{ cmd, data uint32 }{cmd, 0}
		ifr := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte
		}{data: unsafe.Pointer(&value)}
		copy(ifr.name[:], "lo")
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr))); e != 0 {
			t.Fatalf("set up lo: ethtool %#x: %v", cmd, e)
		}
	}
	set(unix.SIOCSIFFLAGS, unix.IFF_UP|unix.IFF_RUNNING)
}

// onWire is what went over lo: its driver counts packets without a link header.
func onWire(t *testing.T) (n int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("lo:"))
	if _, err := fmt.Sscan(string(rest), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// addAddress gives lo a second address, which is not a loopback address.
func addAddress(t *testing.T, ip string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, err := unix.NewIfreq("lo:1")
	if err == nil {
		err = ifr.SetInet4Addr(net.ParseIP(ip).To4())
	}
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCSIFADDR, ifr)
	}
	if err != nil {
		t.Fatalf("add %s to lo: %v", ip, err)
	}
}
