package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// bundlePart is one file of a bundle.
type bundlePart struct {
	Name   string `json:"name"`
	What   string `json:"what"` // for people
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Cut    bool   `json:"cut,omitempty"` // its beginning is missing: it was too large
	data   []byte
}

// leftOut is what a bundle does not hold, and why.
type leftOut struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// bundle is what is gathered for a supporter.
type bundle struct {
	Made    time.Time    `json:"made"`
	Device  string       `json:"device,omitempty"`
	Version string       `json:"version"` // of this command
	Parts   []bundlePart `json:"parts"`
	LeftOut []leftOut    `json:"left_out"`

	redact  *redactor
	without []string // names of parts that are not wanted
}

// Bounds of a bundle before it is packed, bytes.
const (
	minPart   = 1 << 10 // of room for one
	maxPart   = 1 << 20
	maxBundle = 8 << 20
)

// add takes a part in, without its secrets. Of what is too large the end stays.
func (b *bundle) add(name, what string, data []byte) {
	folder, _, _ := strings.Cut(name, "/")
	if slices.Contains(b.without, name) || slices.Contains(b.without, folder) {
		b.leave(name, "--without")
		return
	}
	all := 0
	for _, p := range b.Parts {
		all += p.Bytes
	}
	p := bundlePart{Name: name, What: what}
	most, whole := min(maxPart, maxBundle-all), len(data)
	if most < minPart {
		b.leave(name, "there is no room for more than "+agent.BytesText(maxBundle))
		return
	}
	hiding := b.redact.text(endOf(data, maxPart)) // which may make it longer
	data = endOf(hiding, most)
	p.Cut = whole > maxPart || len(hiding) > most
	sum := sha256.Sum256(data)
	p.Bytes, p.SHA256, p.data = len(data), hex.EncodeToString(sum[:]), data
	b.Parts = append(b.Parts, p)
}

// endOf is the last lines of a text, most bytes of them.
func endOf(data []byte, most int) []byte {
	if len(data) <= most {
		return data
	}
	data = data[len(data)-most:]
	return data[bytes.IndexByte(data, '\n')+1:]
}

// addJSON takes v in.
func (b *bundle) addJSON(name, what string, v any) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		b.leave(name, err.Error())
		return
	}
	b.add(name, what, append(data, '\n'))
}

// leave notes what is not in it, and why.
func (b *bundle) leave(what, why string) {
	b.LeftOut = append(b.LeftOut, leftOut{what, string(b.redact.text([]byte(why)))})
}

// write packs it; the first file lists the others.
func (b *bundle) write(w io.Writer) error {
	list, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, p := range append([]bundlePart{{Name: bundleList, data: append(list, '\n')}}, b.Parts...) {
		head := tar.Header{Name: b.folder() + "/" + p.Name, Mode: 0o600, Size: int64(len(p.data)), ModTime: b.Made, Format: tar.FormatPAX}
		if err := t.WriteHeader(&head); err != nil {
			return fmt.Errorf("pack %s: %w", p.Name, err)
		}
		if _, err := t.Write(p.data); err != nil {
			return fmt.Errorf("pack %s: %w", p.Name, err)
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// bundleList is the file that lists the others.
const bundleList = "MANIFEST.json"

// folder is that in which everything lies, and the beginning of the file's name.
func (b *bundle) folder() string {
	name := "skerry-support"
	if b.Device != "" {
		name += "-" + b.Device
	}
	return name + "-" + b.Made.Format("20060102-150405")
}

// print tells what is inside and what is not.
func (b *bundle) print(w io.Writer, file string, size int64) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	p := func(format string, a ...any) { fmt.Fprintf(t, format+"\n", a...) } // Flush tells of errors
	p("%s  %s\n", file, agent.BytesText(size))
	p("INSIDE\tSIZE\tWHAT")
	for _, part := range b.Parts {
		cut := ""
		if part.Cut {
			cut = " (the end of it)"
		}
		p("%s\t%s\t%s%s", part.Name, agent.BytesText(int64(part.Bytes)), part.What, cut)
	}
	p("\nNOT INSIDE\t\tWHY")
	for _, l := range b.LeftOut {
		p("%s\t\t%s", l.What, shown(oneSentence(errors.New(l.Why))))
	}
	if file != "-" {
		p("\nNothing was sent. Read it before you send it: tar -xzOf %s | less", file)
	}
	return t.Flush()
}
