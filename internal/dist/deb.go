package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Files of the tree that devices get as they are.
const (
	unitFile   = "firmware-notes/skerry.service"
	configFile = "internal/dist/deb/skerry.yaml"
	debFolder  = "internal/dist/deb/"
	monitoring = "docs/monitoring/" // for who watches many devices
)

// nobody is the maintainer of packages that are made without -maintainer: who gives
// packages on has a name and an address of their own there. Debian wants one; mail to this one is not delivered.
const nobody = "The Skerry authors <skerry-edge@users.noreply.github.com>"

// checkMaintainer refuses what Debian's tools would: it has to be a name and an address.
func checkMaintainer(m string) error {
	a, err := mail.ParseAddress(m)
	if err != nil || a.Name == "" || strings.ContainsAny(m, "\n,") {
		return fmt.Errorf("maintainer %q is not a name and an address: make dist MAINTAINER='Ada Smith <ada@acme.example>'", m)
	}
	return nil
}

// debConfig is the file that nfpm builds a package from; JSON is YAML, too.
type debConfig struct {
	Name        string            `json:"name"`
	Arch        string            `json:"arch"`
	Platform    string            `json:"platform"`
	Version     string            `json:"version"`
	Schema      string            `json:"version_schema"`
	Section     string            `json:"section"`
	Priority    string            `json:"priority"`
	Maintainer  string            `json:"maintainer"`
	Description string            `json:"description"`
	Homepage    string            `json:"homepage"`
	Time        string            `json:"mtime"`
	Depends     []string          `json:"depends"`
	Recommends  []string          `json:"recommends"`
	Contents    []debContent      `json:"contents"`
	Scripts     map[string]string `json:"scripts"`
	Deb         debOptions        `json:"deb"`
}

type debOptions struct {
	Compression string `json:"compression"`
}

type debContent struct {
	From string  `json:"src,omitempty"`
	To   string  `json:"dst"`
	Type string  `json:"type,omitempty"`
	Info debInfo `json:"file_info"`
}

type debInfo struct {
	Mode int    `json:"mode"`
	Time string `json:"mtime"`
}

const description = `runs WebAssembly functions on a gateway, also when the link is down
Skerry pulls signed functions from any OCI registry, runs them as WebAssembly
on sensor events (MQTT, HTTP, files, processes, the clock), and sends up only
follow-ups to a central FaaS. Nothing that was acknowledged is lost: each run
is a transaction that is on disk before the event counts as done.`

// writeDeb writes the package of a platform. The program of the archive is in it as it is.
func (r *release) writeDeb(p platform, program string, modules []module) error {
	staged, err := r.stage(p, program, modules)
	if err != nil {
		return err
	}
	version := debVersion(r.version)
	at := r.at.Format(time.RFC3339)
	for i := range staged {
		staged[i].Info.Time = at
	}
	config := debConfig{
		Name: "skerry", Arch: p.debian, Platform: "linux", Version: version, Schema: "none",
		Section: "net", Priority: "optional", Maintainer: r.maintainer, Description: description,
		Homepage: "https://github.com/skerry-edge/skerry", Time: at,
		Depends: []string{"adduser"}, Recommends: []string{"ca-certificates"}, Contents: staged,
		Scripts: map[string]string{
			"postinstall": debFolder + "postinst", "preremove": debFolder + "prerm", "postremove": debFolder + "postrm",
		},
		Deb: debOptions{Compression: "xz"},
	}
	text, err := json.MarshalIndent(config, "", " ")
	if err != nil {
		return err
	}
	file := filepath.Join(r.work, "nfpm-"+p.debian+".yaml")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return err
	}
	to := filepath.Join(r.out, fmt.Sprintf("skerry_%s_%s.deb", version, p.debian))
	_, err = output("go", "tool", "-modfile=.ci/nfpm.mod", "nfpm", "package", "-f", file, "-p", "deb", "-t", to)
	return err
}

// stage puts the files of a package into folders of their own and lists them.
func (r *release) stage(p platform, program string, modules []module) ([]debContent, error) {
	s := &stage{dir: filepath.Join(r.work, p.debian)}
	s.content = append(s.content, debContent{From: program, To: "/usr/bin/skerry", Info: debInfo{Mode: 0o755}},
		debContent{From: unitFile, To: "/lib/systemd/system/skerry.service", Info: debInfo{Mode: 0o644}},
		debContent{From: configFile, To: "/etc/skerry/skerry.yaml", Type: "config", Info: debInfo{Mode: 0o644}},
		debContent{From: debFolder + "overrides", To: "/usr/share/lintian/overrides/skerry", Info: debInfo{Mode: 0o644}},
		debContent{From: debFolder + "copyright", To: "/usr/share/doc/skerry/copyright", Info: debInfo{Mode: 0o644}})
	for _, name := range []string{"prometheus.yaml", "alerts.yaml", "dashboard.json"} {
		s.content = append(s.content, debContent{From: monitoring + name, To: "/usr/share/doc/skerry/examples/" + name, Info: debInfo{Mode: 0o644}})
	}
	s.dirs("/etc/skerry", "/etc/skerry/credentials")
	s.add("/usr/share/bash-completion/completions/skerry", r.parts.completion["bash"])
	s.add("/usr/share/zsh/vendor-completions/_skerry", r.parts.completion["zsh"])
	s.add("/usr/share/fish/vendor_completions.d/skerry.fish", r.parts.completion["fish"])
	for _, page := range r.parts.man {
		s.gzip("/usr/share/"+strings.Replace(page.name, "man/", "man/man1/", 1)+".gz", page.data)
	}
	notices, err := r.notices(modules)
	if err != nil {
		return nil, err
	}
	s.gzip("/usr/share/doc/skerry/THIRD-PARTY.gz", notices)
	changes := fmt.Sprintf("skerry (%s) stable; urgency=medium\n\n  * See https://github.com/skerry-edge/skerry/blob/main/CHANGELOG.md\n\n -- %s  %s\n",
		debVersion(r.version), r.maintainer, r.at.Format(time.RFC1123Z))
	s.gzip("/usr/share/doc/skerry/changelog.gz", []byte(changes))
	return s.content, s.err
}

// stage is a folder with files for a package.
type stage struct {
	dir     string
	content []debContent
	err     error
}

func (s *stage) dirs(names ...string) {
	for _, name := range names {
		s.content = append(s.content, debContent{To: name, Type: "dir", Info: debInfo{Mode: 0o755}})
	}
}

func (s *stage) add(to string, data []byte) {
	from := filepath.Join(s.dir, to)
	s.err = errors.Join(s.err, os.MkdirAll(filepath.Dir(from), 0o755), os.WriteFile(from, data, 0o644))
	s.content = append(s.content, debContent{From: from, To: to, Info: debInfo{Mode: 0o644}})
}

func (s *stage) gzip(to string, data []byte) {
	packed, err := gzipped(data)
	s.err = errors.Join(s.err, err)
	s.add(to, packed)
}

var notInVersions = regexp.MustCompile(`[^A-Za-z0-9.+~]`)

// debVersion is a version as Debian orders them: 1.0.0-rc1 comes before 1.0.0
// ("1.0.0~rc1"), what git describes as 12 commits after it behind it ("1.0.0+12.gabc"),
// and a commit without a number before all numbers ("0~gabc").
func debVersion(v string) string {
	v = strings.TrimPrefix(v, "v")
	if number, rest, ok := strings.Cut(v, "-"); ok && startsWithDigit(number) && strings.Contains(number, ".") {
		mark := "~"
		if described.MatchString(rest) {
			mark = "+"
		}
		return notInVersions.ReplaceAllString(number, ".") + mark + notInVersions.ReplaceAllString(rest, ".")
	}
	if !startsWithDigit(v) || !strings.Contains(v, ".") {
		v = "0~g" + v
	}
	return notInVersions.ReplaceAllString(v, ".")
}

// described is what git describe puts behind a tag.
var described = regexp.MustCompile(`^(\d+-g[0-9a-f]+(-dirty)?|dirty)$`)

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
