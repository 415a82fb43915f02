package codecache

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// kept is an entry on disk.
type kept struct {
	name string
	size int64
	used time.Time
}

// makeRoom removes entries until size bytes fit, those used least recently first.
func (d *disk) makeRoom(size int64, inUse func(name string) bool) error {
	all, err := d.entries()
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b kept) int { return a.used.Compare(b.used) })
	total := size
	for _, e := range all {
		total += e.size
	}
	for _, e := range all {
		if total <= d.size {
			break
		}
		if inUse(e.name) {
			continue
		}
		if err := d.drop(e.name); err != nil {
			return err
		}
		total -= e.size
	}
	if total > d.size {
		return fmt.Errorf("it needs %s, and all that is kept would be %s of at most %s; allow more for compiled code", mebibytes(size), mebibytes(total), mebibytes(d.size))
	}
	return nil
}

func (d *disk) entries() ([]kept, error) {
	folders, err := os.ReadDir(d.home)
	if err != nil {
		return nil, err
	}
	var all []kept
	for _, f := range folders {
		if f.Name() == liveFolder {
			continue
		}
		e := kept{name: f.Name()}
		files, err := list(d.folder(e.name))
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			e.size += f.Size
		}
		if info, err := os.Stat(filepath.Join(d.folder(e.name), sealFile)); err == nil {
			e.size, e.used = e.size+info.Size(), info.ModTime()
		}
		all = append(all, e)
	}
	return all, nil
}

// mebibytes is n as people read it.
func mebibytes(n int64) string { return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20)) }
