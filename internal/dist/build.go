package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// platform is one that Skerry is built for.
type platform struct {
	os, arch, arm string
	debian        string // Debian's name, "" for no package
}

// supported are all platforms. Debian's armhf is ARMv7, that of Raspberry Pi OS is
// ARMv6 under the same name: the package holds the program for ARMv6, which runs on both.
var supported = []platform{
	{os: "linux", arch: "amd64", debian: "amd64"},
	{os: "linux", arch: "arm64", debian: "arm64"},
	{os: "linux", arch: "arm", arm: "7"},
	{os: "linux", arch: "arm", arm: "6", debian: "armhf"},
	{os: "linux", arch: "386"},
	{os: "linux", arch: "riscv64"},
}

// String is linux/arm/7, as make cross has it.
func (p platform) String() string {
	return strings.TrimSuffix(p.os+"/"+p.arch+"/"+p.arm, "/")
}

// name is linux-armv7, as files are called.
func (p platform) name() string {
	if p.arm != "" {
		return p.os + "-" + p.arch + "v" + p.arm
	}
	return p.os + "-" + p.arch
}

// platforms are those that are named, or all.
func platforms(only string) ([]platform, error) {
	if only == "" {
		return supported, nil
	}
	var list []platform
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(supported, func(p platform) bool { return p.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("platform %q is not known: %s", name, supported)
		}
		list = append(list, supported[i])
	}
	return list, nil
}

// lean is the list of modules without those that make the program larger (.ci/lean.sh).
const lean = "-modfile=bin/lean.mod"

// build makes the program. No state of git or setting of the user's gets into it,
// but for the version and the time of the commit.
func (r *release) build(p platform, to string) error {
	flags := "-s -w -X main.version=" + r.version + " -X main.committed=" + strconv.FormatInt(r.at.Unix(), 10)
	cmd := exec.Command("go", "build", lean, "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", to, "./cmd/skerry")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOOS="+p.os, "GOARCH="+p.arch, "GOARM="+p.arm,
		"GOAMD64=v1", "GOARM64=v8.0", "GO386=sse2", "GORISCV64=rva20u64")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	return nil
}
