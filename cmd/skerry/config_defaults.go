package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/wasm"
)

const (
	defaultData      = "/var/lib/skerry"
	defaultKeepalive = 30 * time.Second
	defaultInflight  = 1000
	defaultMaxPacket = 256 << 10
	defaultPoll      = 5 * time.Minute
	defaultDisk      = 256 << 20
	defaultClockWait = 10 * time.Minute
)

func (c *Config) fillDefaults() {
	if c.Device.ID == "" {
		c.Device.ID, _ = os.Hostname() // an empty id is told by check
		c.Warnings = append(c.Warnings, fmt.Sprintf("device.id is not set, so that the host name %q is taken: it must be unique among all devices; set device.id", c.Device.ID))
	}
	c.Data = cmp.Or(c.Data, defaultData)
	c.Clock.Wait = cmp.Or(c.Clock.Wait, defaultClockWait)
	for i := range c.Brokers {
		b := &c.Brokers[i]
		b.Keepalive = cmp.Or(b.Keepalive, defaultKeepalive)
		b.Inflight = cmp.Or(b.Inflight, defaultInflight)
		b.MaxPacket = cmp.Or(b.MaxPacket, defaultMaxPacket)
	}
	c.Broker.Name = cmp.Or(c.Broker.Name, "local")
	c.fillSourceDefaults()
	c.Registry.Poll = cmp.Or(c.Registry.Poll, defaultPoll)
	c.Limits.Disk = cmp.Or(c.Limits.Disk, defaultDisk)
	c.fillFleetDefaults()
	c.fillUplinkDefaults()
	c.fillTelemetryDefaults()
	c.Limits.Module = cmp.Or(c.Limits.Module, wasm.DefaultModuleSize)
	c.Log.Level = cmp.Or(c.Log.Level, "info")
	c.Log.Format = cmp.Or(c.Log.Format, "text")
}

// resolvePaths makes relative paths relative to the folder of the config file.
func (c *Config) resolvePaths(base string) {
	in := &c.HTTPIn
	paths := []*string{
		&c.Data, &c.Admin.Socket, &c.Broker.CertFile, &c.Broker.KeyFile, &c.HTTP.CAFile,
		&in.TokenFile, &in.CertFile, &in.KeyFile, &in.ClientCAFile, &c.Device.ClaimFile,
		&c.Fleet.PasswordFile, &c.Fleet.CAFile, &c.Fleet.CertFile, &c.Fleet.KeyFile,
		&c.Registry.RootFile, &c.Registry.CAFile, &c.Registry.CredentialsFile,
		&c.Page.TokenFile, &c.Page.CertFile, &c.Page.KeyFile,
	}
	for i := range c.Sources {
		s := &c.Sources[i]
		paths = append(paths, &s.Path, &s.MoveTo, &s.Dir)
		if len(s.Command) > 0 && strings.Contains(s.Command[0], "/") {
			s.Command[0] = resolveProgram(base, s.Command[0])
		}
	}
	for i := range c.Brokers {
		b := &c.Brokers[i]
		paths = append(paths, &b.PasswordFile, &b.CAFile, &b.CertFile, &b.KeyFile)
	}
	for i := range c.Broker.Users {
		paths = append(paths, &c.Broker.Users[i].PasswordFile)
	}
	for i := range c.Targets {
		paths = append(paths, c.Targets[i].files()...)
	}
	for i := range c.Secrets {
		paths = append(paths, &c.Secrets[i].File)
	}
	for _, p := range paths {
		*p = resolvePath(base, *p)
	}
	if path, ok := strings.CutPrefix(in.Listen, "unix:"); ok {
		in.Listen = "unix:" + resolvePath(base, path)
	}
	if path, ok := strings.CutPrefix(c.Registry.Ref, layoutScheme); ok {
		c.Registry.Ref = layoutScheme + resolvePath(base, path)
	}
	if c.Admin.Socket == "" {
		c.Admin.Socket = filepath.Join(c.Data, "skerry.sock")
	}
}

// resolveProgram makes path absolute: it is looked for from another directory,
// and without a slash it would be looked for in PATH.
func resolveProgram(base, path string) string {
	path = resolvePath(base, path)
	if abs, err := filepath.Abs(path); err == nil { // else there is no working directory
		return abs
	}
	return path
}

func resolvePath(base, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(base, path)
}
