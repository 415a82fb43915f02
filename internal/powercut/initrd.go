package powercut

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// entry is a file, directory or link of an initial file system.
type entry struct {
	name string // without a slash in front
	mode uint32 // as in stat
	data []byte // of a link, where it leads
}

const (
	isDir, isFile, isLink = 0o040000, 0o100000, 0o120000
	trailer               = "TRAILER!!!"
)

// writeInitrd packs entries as the kernel wants its initial file system: cpio
// in its "newc" form, with the folders of each file before it.
func writeInitrd(w io.Writer, entries []entry) error {
	var b bytes.Buffer
	made := map[string]bool{".": true}
	var folder func(name string)
	folder = func(name string) {
		if made[name] {
			return
		}
		made[name] = true
		folder(filepath.Dir(name))
		appendEntry(&b, len(made), entry{name: name, mode: isDir | 0o755})
	}
	for i, e := range entries {
		folder(filepath.Dir(e.name))
		appendEntry(&b, 1000+i, e)
	}
	appendEntry(&b, 0, entry{name: trailer})
	_, err := w.Write(b.Bytes())
	return err
}

func appendEntry(b *bytes.Buffer, inode int, e entry) {
	fmt.Fprintf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(e.name)+1, 0)
	b.WriteString(e.name)
	b.WriteByte(0)
	pad(b)
	b.Write(e.data)
	pad(b)
}

func pad(b *bytes.Buffer) { b.Write(make([]byte, (4-b.Len()%4)%4)) }

// tree reads a folder of the host as entries below name.
func tree(dir, name string) (entries []entry, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		entries = append(entries, entry{name: filepath.Join(name, rel), mode: isFile | 0o755, data: data})
		return err
	})
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return entries, err
}
