package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// defaultClaimFile is where a golden image has its claim: the boot partition can be
// written on every computer.
const defaultClaimFile = "/boot/firmware/skerry-claim"

// start is enrolment at the start of the agent: a device without an identity takes the
// claim at path, if there is one, and so does one whose data came from other hardware.
// That without a claim is an error; whatever else is wrong is told, and what is
// configured runs.
func (e *enrolment) start(path string) error {
	if err := mendIdentity(e.data); err != nil {
		e.told("the device's identity: %v", err)
	}
	old, err := readIdentity(e.data)
	if err != nil {
		e.told("whether this is a copy of another device cannot be told: %v", err)
		return nil
	}
	if old != nil && old.Hardware.differs(readHardware(e.root)) == "" {
		return nil
	}
	c, err := readClaimFile(path)
	if err == nil {
		err = e.claimAtStart(c, path, old)
	}
	switch {
	case err == nil:
		return nil
	case old == nil && errors.Is(err, fs.ErrNotExist):
		return nil // nobody wants it enrolled
	case old == nil:
		e.told("this device cannot enrol with the claim in %s: %v", path, err)
		return nil
	}
	lost := cloned(old, old.Hardware.differs(readHardware(e.root)))
	if !errors.Is(err, fs.ErrNotExist) {
		lost = fmt.Errorf("%w (%w)", lost, err)
	}
	return lost
}

func (e *enrolment) claimAtStart(c *claim, path string, old *identity) error {
	if old != nil && c.ID == old.ID {
		return fmt.Errorf("the claim in %s is for %s too", path, old.ID)
	}
	id, err := e.enrol(enrolOptions{claim: c})
	if err != nil {
		return err
	}
	e.told("this device has enrolled as %s (%s) with the claim in %s", id.ID, id.From, path)
	e.use(c, path)
	return nil
}

// use deletes a claim for one device, so that a copy of its card does not have it.
func (e *enrolment) use(c *claim, path string) {
	if !c.One {
		return
	}
	if err := os.Remove(path); err != nil {
		e.told("the claim is for one device and was used: delete it (%v)", err)
	}
}

// enrolled is an enrolment for the agent whose configuration file is at path, and
// where its claim is.
func enrolled(path string, told func(string, ...any)) (e *enrolment, claimFile string, err error) {
	given, name, err := readSettings(path)
	if err != nil {
		return nil, "", err
	}
	wanted := map[string]any{"data": given["data"]}
	if device, ok := given["device"].(map[string]any); ok {
		wanted["device"] = map[string]any{"claim_file": device["claim_file"], "id": device["id"]}
	}
	c := Config{Data: defaultData, Device: DeviceConfig{ClaimFile: defaultClaimFile}}
	if problems := decodeConfig(wanted, &c); len(problems) > 0 {
		return nil, "", problems.in(name)
	}
	c.resolvePaths(baseOf(path))
	return &enrolment{id: c.Device.ID, data: c.Data, root: "/", now: wallClock, told: told}, c.Device.ClaimFile, nil
}

// enrolledWithout tells that there is no configuration file at path, and need be none: the
// device has an identity, or can get one.
func enrolledWithout(path string) bool {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	data := cmp.Or(os.Getenv(envName([]string{"data"})), defaultData)
	claim := cmp.Or(os.Getenv(envName([]string{"device", "claim_file"})), defaultClaimFile)
	for _, file := range []string{filepath.Join(data, identityDir, identityConfig), claim} {
		if _, err := os.Stat(file); err == nil {
			return true
		}
	}
	return false
}

// underIdentity puts what the device's identity says beneath what its configuration
// says: each key of a section counts where the configuration has none; labels are
// added.
func underIdentity(given map[string]any, base string) error {
	data, ok := given["data"].(string)
	if !ok && given["data"] != nil {
		return nil // a mistake that is told soon
	}
	dir := filepath.Join(resolvePath(base, cmp.Or(data, defaultData)), identityDir)
	path := filepath.Join(dir, identityConfig)
	if _, err := os.Stat(path); err != nil {
		return nil // it is not there, or not for this user
	}
	identity, err := readConfigFile(path)
	if err != nil {
		return fmt.Errorf("the device's identity: %w", err)
	}
	resolveFiles(identity, dir)
	for name, section := range identity {
		mine, isSection := section.(map[string]any)
		theirs, isTheirs := given[name].(map[string]any)
		switch {
		case given[name] == nil:
			given[name] = section
		case isSection && isTheirs:
			beneath(theirs, mine)
		}
	}
	return nil
}

// beneath adds the keys of one section that another has not.
func beneath(to, from map[string]any) {
	if to["url"] != nil || to["broker"] != nil || to["ref"] != nil { // with keys of its own for it
		from = maps.Clone(from)
		maps.DeleteFunc(from, func(key string, _ any) bool { return key != "name" })
	}
	for key, value := range from {
		more, isList := value.([]any)
		there, hasList := to[key].([]any)
		switch {
		case to[key] == nil:
			to[key] = value
		case isList && hasList: // labels
			for _, label := range more {
				if !slices.ContainsFunc(there, func(l any) bool { return labelName(l) == labelName(label) }) {
					there = append(there, label)
				}
			}
			to[key] = there
		}
	}
}

func labelName(label any) string {
	name, _, _ := strings.Cut(fmt.Sprint(label), "=")
	return name
}

// resolveFiles makes the names of files in sections of an identity whole.
func resolveFiles(sections map[string]any, dir string) {
	for _, section := range sections {
		keys, _ := section.(map[string]any)
		for key, value := range keys {
			if file, ok := value.(string); ok && strings.HasSuffix(key, "_file") {
				keys[key] = resolvePath(dir, file)
			}
		}
	}
}

func withID(text, id string) string { return strings.ReplaceAll(text, "%i", id) }

// enrolAtStart gives the device an identity, if there is a claim for one that has none.
// The sentences are for the log.
func enrolAtStart(config string) (told []string, err error) {
	e, claimFile, err := enrolled(config, func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) })
	if err != nil {
		return nil, err
	}
	err = e.start(claimFile)
	return told, err
}
