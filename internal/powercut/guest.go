package powercut

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

//go:embed init.sh
var initScript []byte

// modules are what the kernel needs to see its disk and its network, in the
// order in which they load. Ext4 is built in.
var modules = []string{
	"virtio/virtio_ring", "virtio/virtio", "virtio/virtio_pci_legacy_dev", "virtio/virtio_pci_modern_dev",
	"virtio/virtio_pci", "block/virtio_blk", "core/failover", "net/net_failover", "net/virtio_net",
}

// CacheDir is where .ci/deps.sh unpacks the kernel and the busybox of Debian.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the guest's kernel: %w", err)
	}
	return filepath.Join(dir, "skerry-guest"), nil
}

// Guest is what a machine starts with.
type Guest struct {
	Binary string // skerry, for linux/amd64
	Config string // its configuration, with data in /data
	Fleet  string // folder of the host with an OCI layout; /fleet in the machine
}

// kernel finds the kernel in the cache.
func kernel(cache string) (string, error) {
	found, err := filepath.Glob(filepath.Join(cache, "boot", "vmlinuz-*"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("there are %d kernels in %s, one is needed: remove the folder and run make deps", len(found), cache)
	}
	return found[0], nil
}

// pack writes the guest's initial file system to path.
func (g *Guest) pack(cache, path string) error {
	files := []entry{
		{name: "init", mode: isFile | 0o755, data: initScript},
		{name: "skerry.yaml", mode: isFile | 0o644, data: []byte(g.Config)},
		{name: "bin/sh", mode: isLink | 0o777, data: []byte("busybox")},
		{name: "proc/.keep", mode: isFile | 0o644},
		{name: "sys/.keep", mode: isFile | 0o644},
		{name: "dev/.keep", mode: isFile | 0o644},
		{name: "data/.keep", mode: isFile | 0o644},
	}
	var order []string
	from := map[string]string{"skerry": g.Binary, "bin/busybox": filepath.Join(cache, "bin", "busybox")}
	for _, m := range modules {
		found, err := filepath.Glob(filepath.Join(cache, "lib", "modules", "*", "kernel", "*", m+".ko"))
		if err != nil || len(found) != 1 {
			return errors.Join(err, fmt.Errorf("the kernel in %s has %d modules %s: remove the folder and run make deps", cache, len(found), m))
		}
		name := filepath.Base(m)
		order = append(order, name)
		from["modules/"+name+".ko"] = found[0]
	}
	files = append(files, entry{name: "modules/order", mode: isFile | 0o644, data: []byte(strings.Join(order, "\n"))})
	for name, source := range from {
		data, err := os.ReadFile(source)
		if err != nil {
			return fmt.Errorf("pack the guest: %w; run make deps", err)
		}
		files = append(files, entry{name: name, mode: isFile | 0o755, data: data})
	}
	fleet, err := tree(g.Fleet, "fleet")
	if err != nil {
		return fmt.Errorf("pack the guest: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeInitrd(f, append(files, fleet...)), f.Close())
}
