package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// identity is who an enrolled device is, and on what hardware it became that. It is
// kept in a folder of the data directory, with its credentials and the part of the
// configuration that belongs to it.
type identity struct {
	V        int       `json:"v"` // 1
	ID       string    `json:"id"`
	From     string    `json:"from"` // what the id was made of: one of idSources, "given", "configuration" or "claim"
	Made     time.Time `json:"made"`
	Hardware hardware  `json:"hardware"`
}

// Names in the data directory, and in the identity's folder.
const (
	identityDir      = "identity"
	identityFile     = "identity.json"
	identityConfig   = "skerry.yaml"
	identityKey      = "client.key"
	identityRequest  = "client.csr"
	identityCert     = "client.crt"
	identityRoot     = "root.json"
	identityRegistry = "registry.json"
	identityCA       = "registry-ca.pem"
	identityPassword = "broker.password"
	identityBrokerCA = "broker-ca.pem"
)

// readIdentity reads who the device with this data directory is; nil if it was never
// enrolled.
func readIdentity(data string) (*identity, error) {
	path := filepath.Join(data, identityDir, identityFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the device's identity: %w", err)
	}
	var id identity
	if err := json.Unmarshal(text, &id); err != nil || id.V != 1 || !names.MatchString(id.ID) {
		return nil, fmt.Errorf("%s is damaged: delete it, and enrol the device anew with skerry enroll", path)
	}
	return &id, nil
}

// writeIdentity replaces the identity's folder by one with these files, as a whole: after a
// power cut there is the old one or the new one. What is not in files stays as it is.
func writeIdentity(data string, id *identity, files map[string][]byte) (err error) {
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return fmt.Errorf("write the device's identity: %w", err)
	}
	dir := filepath.Join(data, identityDir)
	next := dir + ".new"
	defer func() {
		if err != nil {
			err = fmt.Errorf("write the device's identity: %w", err)
		}
	}()
	if err := errors.Join(os.RemoveAll(next), os.MkdirAll(next, 0o700), copyFiles(dir, next, files)); err != nil {
		return err
	}
	files[identityFile] = append(text, '\n')
	for name, content := range files {
		if err := writeSynced(filepath.Join(next, name), content); err != nil {
			return err
		}
	}
	old := dir + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(os.Rename(next, dir), syncFolder(data), os.RemoveAll(old), giveTo(data, dir))
}

// mendIdentity undoes what a power cut left of writeIdentity.
func mendIdentity(data string) error {
	dir := filepath.Join(data, identityDir)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.Rename(dir+".old", dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// copyFiles copies the files of a folder that are not in but, if there is the folder.
func copyFiles(from, to string, but map[string][]byte) error {
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if _, replaced := but[e.Name()]; replaced || !e.Type().IsRegular() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = writeSynced(filepath.Join(to, e.Name()), content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// giveTo gives a folder to the owner of the data directory, who runs the agent, when
// somebody else may do so: root.
func giveTo(data, dir string) error {
	info, err := os.Stat(data)
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, gid := ownerOf(info)
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, gid)
	})
}
