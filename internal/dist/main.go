package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	var r release
	flag.StringVar(&r.version, "version", "", "of the release, as in 1.2.3 (required)")
	flag.StringVar(&r.out, "o", "bin/dist", "folder to write, emptied first")
	flag.StringVar(&r.maintainer, "maintainer", nobody, "of the Debian packages, as in 'Ada Smith <ada@acme.example>'")
	only := flag.String("only", "", "platforms, comma separated, such as linux/arm/7; all of them by default")
	flag.Parse()
	if err := r.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

// release is what is being made.
type release struct {
	version    string
	maintainer string    // of the Debian packages
	out        string    // what is published
	work       string    // what it is made of
	at         time.Time // of the commit
	parts      parts
}

func (r *release) run(only string) error {
	if r.version == "" {
		return fmt.Errorf("no version: make dist VERSION=1.2.3")
	}
	if err := checkMaintainer(r.maintainer); err != nil {
		return err
	}
	list, err := platforms(only)
	if err != nil {
		return err
	}
	if err := r.prepare(); err != nil {
		return err
	}
	defer os.RemoveAll(r.work)
	for _, p := range list {
		if err := r.platform(p); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return r.checksums()
}

// prepare makes what all platforms share.
func (r *release) prepare() (err error) {
	if r.at, err = commitTime(); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if r.work, err = filepath.Abs(r.out + ".work"); err != nil {
		return err
	}
	if err := os.RemoveAll(r.work); err != nil {
		return err
	}
	for _, dir := range []string{r.out, r.work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return r.makeParts()
}

func (r *release) platform(p platform) error {
	program := filepath.Join(r.work, "skerry-"+p.name())
	fmt.Println("dist: build", p)
	if err := r.build(p, program); err != nil {
		return err
	}
	modules, err := modulesOf(program)
	if err != nil {
		return err
	}
	for i := range modules {
		if err := modules[i].readLicence(); err != nil {
			return err
		}
	}
	name := "skerry-" + r.version + "-" + p.name()
	if err := r.writeSBOM(filepath.Join(r.out, name+".cdx.json"), modules); err != nil {
		return err
	}
	files, err := r.archiveFiles(program, modules)
	if err != nil {
		return err
	}
	if err := writeArchive(filepath.Join(r.out, name+".tar.gz"), name, r.at, files); err != nil {
		return err
	}
	if p.debian == "" {
		return nil
	}
	return r.writeDeb(p, program, modules)
}

// commitTime is SOURCE_DATE_EPOCH, or else when the sources were committed.
func commitTime() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := output("git", "log", "-1", "--format=%ct")
		if err != nil {
			return time.Time{}, fmt.Errorf("when the sources were committed is not known: set SOURCE_DATE_EPOCH to it, in seconds: %w", err)
		}
		text = out
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH is %q, and should be seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// output runs a command and returns what it prints; its complaints are part of the error.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, complaints.String())
	}
	return string(out), nil
}
