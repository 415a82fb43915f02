package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// machine is a file system with the marks of a machine.
type machine map[string]string

func (m machine) root(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range m {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// pi is a board with this serial number, and a card in it.
func pi(serial, card string) machine {
	return machine{
		"proc/device-tree/serial-number": serial + "\x00", "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
		"sys/block/mmcblk0/device/cid": card + "\n",
	}
}

func enrolmentOf(t *testing.T, data string, m machine) (*enrolment, *[]string) {
	t.Helper()
	told := &[]string{}
	return &enrolment{
		data: data, root: m.root(t), now: func() (time.Time, bool) { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), true },
		told: func(format string, args ...any) { *told = append(*told, fmt.Sprintf(format, args...)) },
	}, told
}

// A claim becomes files that only the agent reads, and a part of its configuration.
func TestEnrolling(t *testing.T) {
	data := t.TempDir()
	e, _ := enrolmentOf(t, data, pi("10000000a1b2c3d4", "c1"))
	id, err := e.enrol(enrolOptions{claim: someClaim()})
	if err != nil || id.ID != "10000000a1b2c3d4" {
		t.Fatalf("%+v, %v", id, err)
	}
	dir := filepath.Join(data, "identity")
	var files []string
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		files = append(files, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
	}
	if want := []string{"broker-ca.pem", "broker.password", "identity.json", "skerry.yaml"}; !slices.Equal(files, want) {
		t.Errorf("files are %q, want %q", files, want)
	}
	for _, name := range []string{"identity.json", "skerry.yaml"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		leaks(t, name, string(text))
	}

	config := writeConfig(t, "data: "+data+"\ndevice: {labels: [hw=cm4]}\nbrokers: [{name: plant, url: 'tcp://h'}]\n")
	c, err := LoadConfig(config)
	want := FleetConfig{
		Name: "west", URL: "mqtts://hub.example", Username: "dev-10000000a1b2c3d4", Password: canary + "claim",
		PasswordFile: filepath.Join(dir, "broker.password"), CAFile: filepath.Join(dir, "broker-ca.pem"), Keepalive: defaultFleetKeepalive,
	}
	if err != nil || c.Fleet != want || c.Device.ID != id.ID || !slices.Equal(c.Device.Labels, []string{"hw=cm4", "site=west"}) || len(c.Brokers) != 1 {
		t.Errorf("%+v, %+v, %v", c.Device, c.Fleet, err)
	}
	c, err = LoadConfig(writeConfig(t, "data: "+data+"\ndevice: {id: gw7}\nbrokers: [{name: plant, url: 'tcp://h'}]\nfleet: {broker: plant}\n"))
	if err != nil || c.Device.ID != "gw7" || c.Fleet != (FleetConfig{Name: "west", Broker: "plant", Keepalive: defaultFleetKeepalive}) {
		t.Errorf("the file does not count more: %+v, %+v, %v", c.Device, c.Fleet, err)
	}
	t.Setenv("SKERRY_DATA", data)
	if c, err = LoadConfig(filepath.Join(t.TempDir(), "none.yaml")); err != nil || c.Device.ID != id.ID {
		t.Errorf("without a file: %+v, %v", c.Device, err)
	}

	again := someClaim()
	again.Broker.Password = "renewed"
	if id, err := e.enrol(enrolOptions{claim: again}); err != nil || id.ID != "10000000a1b2c3d4" {
		t.Errorf("another claim: %+v, %v", id, err)
	}
	if text, _ := firstLine(filepath.Join(dir, "broker.password")); text != "renewed" {
		t.Errorf("the password is %q", text)
	}
	if _, err := e.enrol(enrolOptions{id: "other"}); err == nil || !strings.Contains(err.Error(), "this device is 10000000a1b2c3d4 already") {
		t.Errorf("another id: %v", err)
	}
	again.Expires = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	if _, err := e.enrol(enrolOptions{claim: again}); err == nil || !strings.Contains(err.Error(), "the claim expired on 2026-02-01") {
		t.Errorf("an old claim: %v", err)
	}
	e.now = func() (time.Time, bool) { return time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), false }
	if _, err := e.enrol(enrolOptions{claim: again}); err != nil {
		t.Errorf("by a clock that is not trusted: %v", err)
	}
}

// A card that was copied does not run as the device it was copied from: it says what
// to do, or enrols as another one with the claim that it has.
func TestCopiedCard(t *testing.T) {
	data := t.TempDir()
	first, _ := enrolmentOf(t, data, pi("10000000a1b2c3d4", "c1"))
	if _, err := first.enrol(enrolOptions{claim: someClaim()}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "journal"), []byte("of the first"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none")
	newCard, told := enrolmentOf(t, data, pi("10000000a1b2c3d4", "c2"))
	if err := newCard.start(none); err != nil || len(*told) != 0 {
		t.Errorf("a new card for the same board: %v, %q", err, *told)
	}
	second, told := enrolmentOf(t, data, pi("100000005e6f7a8b", "c2"))
	err := second.start(none)
	if want := `this is a copy of device 10000000a1b2c3d4 on other hardware (its serial number was "10000000a1b2c3d4", here it is "100000005e6f7a8b"), and two devices must not be one: give this one an identity of its own with skerry enroll --claim or --id, or say with skerry enroll --keep that it takes the place of 10000000a1b2c3d4`; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := second.enrol(enrolOptions{}); err == nil || !strings.Contains(err.Error(), "this is a copy of device") {
		t.Errorf("enrolling without a claim: %v", err)
	}

	claimFile := filepath.Join(t.TempDir(), "skerry-claim")
	write := func(c *claim) {
		t.Helper()
		text, err := c.encode()
		if err == nil {
			err = os.WriteFile(claimFile, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	old := someClaim()
	old.Expires = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	write(old)
	if err := second.start(claimFile); err == nil || !strings.Contains(err.Error(), "this is a copy") || !strings.Contains(err.Error(), "the claim expired") {
		t.Errorf("with an old claim: %v", err)
	}
	one := someClaim()
	one.One = true
	write(one)
	if err := second.start(claimFile); err != nil || len(*told) != 2 || !strings.Contains((*told)[1], "enrolled as 100000005e6f7a8b (serial)") {
		t.Errorf("with a claim: %v, %q", err, *told)
	}
	if _, err := os.Stat(claimFile); err == nil {
		t.Error("a claim for one device is still there after its use")
	}
	kept, err := os.ReadFile(filepath.Join(data, "of-10000000a1b2c3d4", "journal"))
	if err != nil || string(kept) != "of the first" {
		t.Errorf("the first device's data: %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(data, "journal")); err == nil {
		t.Error("the second device has the first one's data")
	}
	if err := second.start(none); err != nil {
		t.Errorf("the next start: %v", err)
	}

	third, _ := enrolmentOf(t, data, pi("10000000cccccccd", "c2"))
	if id, err := third.enrol(enrolOptions{keep: true}); err != nil || id.ID != "100000005e6f7a8b" || third.start(none) != nil {
		t.Errorf("a board that was exchanged: %+v, %v", id, err)
	}
}

// A golden image has a claim for many: each machine that starts with it is another
// device. Whatever is wrong with it, what is configured runs.
func TestGoldenImage(t *testing.T) {
	claimFile := filepath.Join(t.TempDir(), "skerry-claim")
	text, err := someClaim().encode()
	if err == nil {
		err = os.WriteFile(claimFile, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, serial := range []string{"10000000a1b2c3d4", "100000005e6f7a8b"} {
		e, told := enrolmentOf(t, filepath.Join(t.TempDir(), "data"), pi(serial, "c"))
		if err := e.start(claimFile); err != nil {
			t.Fatal(err)
		}
		id, err := readIdentity(e.data)
		if err != nil || len(*told) != 1 {
			t.Fatalf("%v, %q", err, *told)
		}
		ids[id.ID] = true
	}
	if !maps.Equal(ids, map[string]bool{"10000000a1b2c3d4": true, "100000005e6f7a8b": true}) {
		t.Errorf("the devices are %v", ids)
	}
	if err := os.WriteFile(claimFile, []byte(text[:100]), 0o600); err != nil {
		t.Fatal(err)
	}
	e, told := enrolmentOf(t, t.TempDir(), machine{})
	if err := e.start(claimFile); err != nil || len(*told) != 1 || !strings.Contains((*told)[0], "cannot enrol with the claim") {
		t.Errorf("half a claim: %v, %q", err, *told)
	}
	if err := e.start(filepath.Join(t.TempDir(), "none")); err != nil || len(*told) != 1 {
		t.Errorf("no claim: %v, %q", err, *told)
	}
}

// The key stays on the device; the certificate that comes back has to be for it.
func TestRequestForACertificate(t *testing.T) {
	data, out := t.TempDir(), t.TempDir()
	e, _ := enrolmentOf(t, data, machine{})
	id, err := e.enrol(enrolOptions{id: "gw7", claim: someClaim()})
	if err != nil {
		t.Fatal(err)
	}
	csr := filepath.Join(out, "gw7.csr")
	for range 2 { // the second time with the same key
		if err := e.request(id.ID, csr); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(csr)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil || request.Subject.CommonName != "gw7" {
		t.Fatalf("%v, %+v", err, request)
	}
	if info, err := os.Stat(filepath.Join(data, "identity", "client.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
	cert := filepath.Join(out, "gw7.crt")
	sign(t, cert, request)
	if err := e.certify(cert); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(writeConfig(t, "data: "+data))
	if err != nil || c.Fleet.CertFile != filepath.Join(data, "identity", "client.crt") || c.Fleet.KeyFile != filepath.Join(data, "identity", "client.key") {
		t.Errorf("%+v, %v", c.Fleet, err)
	}
	if _, err := e.enrol(enrolOptions{claim: someClaim()}); err != nil {
		t.Fatal(err)
	}
	if c, err = LoadConfig(writeConfig(t, "data: "+data)); err != nil || c.Fleet.CertFile == "" {
		t.Errorf("a new claim took the certificate away: %+v, %v", c.Fleet, err)
	}
	other, _ := enrolmentOf(t, t.TempDir(), machine{})
	if err := other.certify(cert); err == nil || !strings.Contains(err.Error(), "begin with skerry enroll --csr") {
		t.Errorf("without an identity: %v", err)
	}
	if _, err := other.enrol(enrolOptions{id: "gw8"}); err != nil || other.request("gw8", csr) != nil {
		t.Fatal(err)
	}
	if err := other.certify(cert); err == nil || !strings.Contains(err.Error(), "is no certificate for the key of this device") {
		t.Errorf("another device's certificate: %v", err)
	}
}

// A power cut while an identity is written leaves the old one or the new one.
func TestIdentityOutlivesAPowerCut(t *testing.T) {
	data := t.TempDir()
	e, _ := enrolmentOf(t, data, machine{})
	if _, err := e.enrol(enrolOptions{id: "gw7"}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(data, "identity")
	if err := os.Rename(dir, dir+".old"); err != nil { // as between the two renames
		t.Fatal(err)
	}
	if err := e.start(filepath.Join(data, "none")); err != nil {
		t.Fatal(err)
	}
	if id, err := readIdentity(data); err != nil || id == nil || id.ID != "gw7" {
		t.Errorf("%+v, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "identity.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, told := enrolmentOf(t, data, machine{})
	if err := e.start(filepath.Join(data, "none")); err != nil || len(*told) != 1 {
		t.Errorf("a damaged identity stops the agent: %v, %q", err, *told)
	}
}
