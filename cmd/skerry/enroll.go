package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"
)

// enrolment is how a device becomes one of a fleet: it gets an identity.
type enrolment struct {
	id   string                            // device.id, as it is configured; "": it is not
	data string                            // the data directory
	root string                            // of the file system: "/", but in tests
	now  func() (now time.Time, sure bool) // wallClock
	told func(format string, args ...any)  // a sentence for people
}

// enrolOptions are what somebody decides about it.
type enrolOptions struct {
	id    string // "": the claim's, or one that is derived
	from  string // of idSources; "": the best there is
	claim *claim // nil: none
	keep  bool   // the hardware was exchanged, the device is the same
}

// enrol gives the device an identity, or the one that it has another claim's
// credentials. What another device left in the data directory is put aside.
func (e *enrolment) enrol(o enrolOptions) (*identity, error) {
	if err := os.MkdirAll(e.data, 0o700); err != nil {
		return nil, err
	}
	if now, sure := e.now(); o.claim != nil && o.claim.expired(now, sure) {
		return nil, fmt.Errorf("the claim expired on %s: make a new one with skerry fleet claim", o.claim.Expires.Format(time.DateOnly))
	}
	old, err := readIdentity(e.data)
	if err != nil {
		return nil, err
	}
	here := readHardware(e.root)
	if old != nil && !o.keep {
		switch other := old.Hardware.differs(here); {
		case other == "":
		case o.claim == nil && o.id == "":
			return nil, cloned(old, other)
		default:
			if err := e.putAside(old); err != nil {
				return nil, err
			}
			old = nil
		}
	}
	if old != nil && o.id != "" && o.id != old.ID {
		return nil, fmt.Errorf("this device is %s already: leave --id out, or move %s away to make another device of it", old.ID, e.data)
	}
	next := &identity{V: 1, Hardware: here}
	if next.Made, _ = e.now(); old != nil {
		next.ID, next.From, next.Made = old.ID, old.From, old.Made
	} else if next.ID, next.From, err = e.newID(o); err != nil {
		return nil, err
	}
	next.Made = next.Made.UTC().Truncate(time.Second)
	if old != nil && o.claim == nil {
		return next, writeIdentity(e.data, next, map[string][]byte{})
	}
	files, err := e.files(next.ID, o.claim)
	if err != nil {
		return nil, err
	}
	return next, writeIdentity(e.data, next, files)
}

// newID is the id of a device that has none.
func (e *enrolment) newID(o enrolOptions) (id, from string, err error) {
	switch {
	case o.id != "" && !names.MatchString(o.id):
		return "", "", fmt.Errorf("an id is 1 to 64 letters, digits, dots, dashes and underscores, not %q", o.id)
	case o.id != "":
		return o.id, "given", nil
	case names.MatchString(e.id):
		return e.id, "configuration", nil
	case o.claim != nil && o.claim.ID != "":
		return o.claim.ID, "claim", nil
	}
	return deriveID(e.root, o.from)
}

// cloned says that a device's data came to other hardware.
func cloned(old *identity, other string) error {
	return fmt.Errorf("this is a copy of device %s on other hardware (%s), and two devices must not be one: give this one an identity of its own with skerry enroll --claim or --id, or say with skerry enroll --keep that it takes the place of %s", old.ID, other, old.ID)
}

// putAside moves what another device left out of the way: its records would be sent
// twice, its state would be that of two.
func (e *enrolment) putAside(old *identity) error {
	aside := filepath.Join(e.data, "of-"+old.ID)
	for n := 2; ; n++ {
		err := os.Mkdir(aside, 0o700)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		aside = filepath.Join(e.data, fmt.Sprintf("of-%s-%d", old.ID, n))
	}
	entries, err := os.ReadDir(e.data)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		from := filepath.Join(e.data, entry.Name())
		if earlier, _ := filepath.Match("of-*", entry.Name()); earlier || from == aside || entry.Name() == "lost+found" {
			continue
		}
		if err := os.Rename(from, filepath.Join(aside, entry.Name())); err != nil {
			return fmt.Errorf("put the data of %s aside: %w", old.ID, err)
		}
	}
	e.told("what device %s had kept here is in %s now; delete it if that device lives elsewhere", old.ID, aside)
	return errors.Join(syncFolder(e.data), giveTo(e.data, aside))
}

// files are those of an identity: its part of the configuration, and what a claim
// brings.
func (e *enrolment) files(id string, c *claim) (map[string][]byte, error) {
	files := map[string][]byte{}
	device := map[string]any{"id": id}
	config := map[string]any{"device": device}
	if c != nil {
		if len(c.Labels) > 0 {
			device["labels"] = c.Labels
		}
		if c.Registry.Ref != "" {
			config["registry"] = c.Registry.section(files)
		}
		if c.Fleet != "" {
			config["fleet"] = c.fleetSection(id, files)
			e.addCert(config)
		}
	}
	text, err := yaml.Marshal(config)
	files[identityConfig] = append([]byte("# Written by skerry enroll. What the agent's configuration file says counts more.\n"), text...)
	return files, err
}

func (r *claimRegistry) section(files map[string][]byte) map[string]any {
	section := map[string]any{"ref": r.Ref, "root_file": identityRoot}
	files[identityRoot] = []byte(r.Root)
	if r.CA != "" {
		section["ca_file"], files[identityCA] = identityCA, []byte(r.CA)
	}
	if r.Credentials != "" {
		section["credentials_file"], files[identityRegistry] = identityRegistry, []byte(r.Credentials)
	}
	if r.PlainHTTP {
		section["plain_http"] = true
	}
	return section
}

func (c *claim) fleetSection(id string, files map[string][]byte) map[string]any {
	section, b := map[string]any{"name": c.Fleet}, &c.Broker
	if b.URL == "" {
		return section
	}
	section["url"] = b.URL
	if b.Username != "" {
		section["username"] = withID(b.Username, id)
	}
	if b.Password != "" {
		section["password_file"], files[identityPassword] = identityPassword, []byte(b.Password+"\n")
	}
	if b.CA != "" {
		section["ca_file"], files[identityBrokerCA] = identityBrokerCA, []byte(b.CA)
	}
	return section
}

// addCert names the device's certificate, if it has one, to the fleet's broker.
func (e *enrolment) addCert(config map[string]any) {
	section, ok := config["fleet"].(map[string]any)
	if _, err := os.Stat(filepath.Join(e.data, identityDir, identityCert)); err == nil && ok && section["url"] != nil {
		section["cert_file"], section["key_file"] = identityCert, identityKey
	}
}
