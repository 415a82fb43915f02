package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// credential is a secret value that stands in the config file or, better, in a
// file of its own.
type credential struct {
	path  string  // of the section: "brokers[0]"
	key   string  // "password"; the file's key is password_file
	value *string // where it is wanted
	file  string
}

// credentials lists all there are in c, but for those of targets, which read
// their files themselves.
func (c *Config) credentials() []credential {
	var all []credential
	for i := range c.Brokers {
		b := &c.Brokers[i]
		all = append(all, credential{fmt.Sprintf("brokers[%d]", i), "password", &b.Password, b.PasswordFile})
	}
	for i := range c.Broker.Users {
		u := &c.Broker.Users[i]
		all = append(all, credential{fmt.Sprintf("broker.users[%d]", i), "password", &u.Password, u.PasswordFile})
	}
	all = append(all,
		credential{"http_in", "token", &c.HTTPIn.Token, c.HTTPIn.TokenFile},
		credential{"fleet", "password", &c.Fleet.Password, c.Fleet.PasswordFile})
	return all
}

// withoutCredential is a mistake in a value in words. They do not repeat what may
// be a credential.
func withoutCredential(path string, err error) string {
	key, _, _ := strings.Cut(path[strings.LastIndexByte(path, '.')+1:], "[")
	for _, part := range []string{"password", "token", "secret", "key", "headers", "command", "env", "url"} {
		if strings.Contains(key, part) {
			return "is text: put it in quotes"
		}
	}
	return err.Error()
}

func (c *Config) checkCredentials(p *problems) {
	for _, cr := range c.credentials() {
		if *cr.value != "" && cr.file != "" {
			p.add(join(cr.path, cr.key), "is set and %s_file too: keep one", cr.key)
		}
		path, before := join(cr.path, cr.key+"_file"), len(*p)
		p.checkFile(path, cr.file)
		if cr.file == "" || len(*p) > before {
			continue
		}
		if _, err := firstLine(cr.file); err != nil {
			p.add(path, "%v", err)
		}
	}
}

// readCredentials fills in the values that stand in files.
func (c *Config) readCredentials() error {
	for _, cr := range c.credentials() {
		if cr.file == "" {
			continue
		}
		line, err := firstLine(cr.file)
		if err != nil {
			return fmt.Errorf("%s.%s_file: %w", cr.path, cr.key, err)
		}
		*cr.value = line
	}
	return nil
}

// credentialsDir is the variable in which systemd names the folder of a service's
// credentials.
const credentialsDir = "CREDENTIALS_DIRECTORY"

// given is how many ways the value is given in.
func (s SecretConfig) given() (n int) {
	for _, way := range []string{s.File, s.Env, s.Credential} {
		if way != "" {
			n++
		}
	}
	return n
}

func (s SecretConfig) checkCredential(path string, p *problems) {
	dir := os.Getenv(credentialsDir)
	switch {
	case s.Credential != filepath.Base(s.Credential) || s.Credential == "..":
		p.add(path, "is the name that LoadCredential= gives it in the unit, not %q", s.Credential)
	case dir == "":
		p.add(path, "systemd gave this process no credentials: write LoadCredential=%s:FILE into the unit, or name a file instead", s.Credential)
	default:
		p.checkFile(path, filepath.Join(dir, s.Credential))
	}
}

// Value reads the secret, anew each time, so that a replaced file counts. The
// line end that editors add to a file is cut off.
func (s SecretConfig) Value() (string, error) {
	if s.Env != "" {
		value, ok := os.LookupEnv(s.Env)
		if !ok {
			return "", fmt.Errorf("secret %s: environment variable %s is not set", s.Name, s.Env)
		}
		return value, nil
	}
	file := s.File
	if s.Credential != "" {
		file = filepath.Join(os.Getenv(credentialsDir), s.Credential)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", s.Name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCredential))
	if err != nil {
		return "", fmt.Errorf("secret %s: %w", s.Name, err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}

const maxCredential = 64 << 10 // bytes

// firstLine reads a file that holds one line; editors add a line end to it.
func firstLine(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCredential))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("%s has nothing on its first line", file)
	}
	return line, nil
}

// warnAboutFile warns when a file that others may read holds a credential.
// It looks before the values of other files are filled in.
func (c *Config) warnAboutFile(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an enrolled device needs none
	}
	if err != nil {
		return fmt.Errorf("read config file: %w", err)
	}
	all := c.credentials()
	for i := range c.Targets {
		all = append(all, c.Targets[i].credentials(fmt.Sprintf("targets[%d]", i))...)
	}
	for _, cr := range all {
		if *cr.value != "" && info.Mode().Perm()&0o004 != 0 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s.%s stands in a file that every user of this device can read: chmod 640 it, or use %s_file", path, cr.path, cr.key, cr.key))
		}
	}
	return nil
}
