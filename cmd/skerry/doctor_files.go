package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// configuredFile is a file that the configuration names.
type configuredFile struct {
	key    string // targets[0].token_file
	path   string
	secret bool
}

// configuredFiles lists the files of all keys that end in file, but for those that are
// public by their nature secret.
func configuredFiles(cfg *Config) (all []configuredFile) {
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Struct:
			for _, f := range structFields(v.Type()) {
				walk(v.FieldByIndex(f.Index), join(path, f.Tag.Get("key")))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
			}
		case reflect.String:
			key := path[strings.LastIndexByte(path, '.')+1:]
			if (strings.HasSuffix(key, "_file") || key == "file") && v.String() != "" {
				public := key == "ca_file" || key == "client_ca_file" || key == "cert_file" || key == "root_file"
				all = append(all, configuredFile{path, v.String(), !public})
			}
		}
	}
	walk(reflect.ValueOf(*cfg), "")
	return all
}

// checkFiles looks at who else may read or write the configured files, and how long the
// certificates in them are good.
func checkFiles(cfg *Config) []finding {
	files := configuredFiles(cfg)
	if len(files) == 0 {
		return nil
	}
	var all []finding
	add := func(state findingState, text, next string) {
		all = append(all, finding{"files", state, text, next})
	}
	for _, f := range files {
		about := f.path + " (" + f.key + ")"
		info, err := os.Stat(f.path)
		if err != nil {
			add(failing, about+": "+oneSentence(err), "run doctor as the agent's user, or mend the path")
			continue
		}
		switch mode := info.Mode().Perm(); {
		case mode&0o002 != 0:
			add(failing, fmt.Sprintf("%s has mode %04o: everybody can change it", about, mode), "chmod o-w "+f.path)
		case f.secret && mode&0o004 != 0:
			add(warning, fmt.Sprintf("%s has mode %04o: everybody on this device can read it", about, mode), "chmod 640 "+f.path+", with the agent's group")
		}
		if dir, err := os.Stat(filepath.Dir(f.path)); err == nil && dir.Mode().Perm()&0o002 != 0 && dir.Mode()&os.ModeSticky == 0 {
			add(failing, "everybody can replace files in "+filepath.Dir(f.path)+" ("+f.key+")", "chmod o-w "+filepath.Dir(f.path))
		}
		if !f.secret {
			all = append(all, checkCertificates(about, f.path)...)
		}
	}
	if len(all) == 0 {
		add(fine, agent.CountText(len(files), "configured file")+", with the right permissions", "")
	}
	return all
}

// checkCertificates tells which certificates of a file in PEM have ended, or soon will.
func checkCertificates(about, path string) (all []finding) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return []finding{{"files", failing, about + ": " + oneSentence(err), "run doctor as the agent's user"}}
	}
	now := reachedAlone()
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // a key, or what is of no use here
		}
		until := cert.NotAfter.UTC().Format(time.DateOnly)
		switch {
		case now.After(cert.NotAfter):
			all = append(all, finding{"files", failing, about + ": a certificate in it ended on " + until, "renew it"})
		case cert.NotAfter.Sub(now) < soon:
			all = append(all, finding{"files", warning, about + ": a certificate in it ends on " + until, "renew it"})
		}
	}
}
