package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/internal/testbed"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// sign writes a certificate for a request to a file, by an authority of its own.
func sign(t *testing.T, file string, request *x509.CertificateRequest) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true}
	cert := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: request.Subject, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, cert, ca, request.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A gateway that has a claim and no configuration of its own enrols when it starts, and
// reports to its fleet with the credentials that the claim has.
func TestADeviceEnrolsWhenItStarts(t *testing.T) {
	t.Parallel()
	broker := testbed.StartMosquitto(t, testbed.MosquittoOptions{
		Users: map[string]string{"gw9": canary + "claim", "ops": "ops", "ci": "ci"}, Config: "acl_file " + documentedRights(t, "west") + "\n",
	})
	c := someClaim()
	c.One, c.ID, c.Broker.URL, c.Broker.CA, c.Broker.Username = true, "gw9", broker.URL, "", "%i"
	text, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "")
	r.write("skerry.yaml", "data: "+r.path("data")+"\nadmin: {socket: "+r.socket+"}\ndevice: {claim_file: "+r.path("claim")+"}\n")
	r.write("claim", text)
	r.start()
	status := skerryCommand(t, "fleet", "status", "--broker", broker.URL, "--username", "ops", "--password-file", r.path("ops"), "-o", "json")
	r.write("ops", "ops\n")
	var seen string
	testbed.Eventually(t, time.Minute, "it reports", func() (err error) {
		seen, err = status()
		return err
	})
	if !strings.Contains(seen, `"device": "gw9"`) || !strings.Contains(seen, `"site": "west"`) {
		t.Errorf("seen is %s", seen)
	}
	leaks(t, "the report", seen)
	r.write("ci", "ci\n")
	hint := fleetsync.Hint{Revision: 3}
	if err := publishHint(t.Context(), brokerAccess{URL: broker.URL, Username: "ci", PasswordFile: r.path("ci")}, "west", hint); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, time.Minute, "the hint is known", func() error {
		if seen, err = status(); err == nil && !strings.Contains(seen, `"hinted": 3`) {
			err = errors.New(seen)
		}
		return err
	})
	if _, err := os.Stat(r.path("claim")); err == nil {
		t.Error("a claim for one device is still there after its use")
	}
	r.proc.Stop()
	if log := r.proc.Output(); !strings.Contains(log, "this device has enrolled as gw9 (claim)") {
		t.Errorf("the log says:\n%s", log)
	}
	leaks(t, "the log", r.proc.Output())
	r.start() // with its identity
	if s := r.status(); s.Device != "gw9" {
		t.Errorf("the device is %s", s.Device)
	}
}

// documentedRights is a file of the rights that docs/fleet.md shows for mosquitto.
func documentedRights(t *testing.T, fleet string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```\n# devices\n")
	rights, _, _ := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/fleet.md has no rights for mosquitto")
	}
	path := filepath.Join(t.TempDir(), "rights")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(rights, "plant-west", fleet)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A person enrols a device, and sees who it is.
func TestEnrollCommand(t *testing.T) {
	data := t.TempDir()
	text, err := someClaim().encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ args, want string }{
		{"--data DIR --id gw7 --claim " + text, "this device is gw7 (id: given); its identity is in " + data + "/identity"},
		{"--data DIR --csr " + data + "/gw7.csr", "have it signed for clients, and bring the certificate with: skerry enroll --cert FILE"},
		{"--data DIR --id gw8", "skerry: this device is gw7 already"},
		{"--data DIR --claim " + text[:50], "skerry: it is no claim: make one with skerry fleet claim, and copy all of it"},
		{"--data DIR --claim nowhere", "skerry: stat nowhere: no such file or directory"},
		{"--data DIR --from dmi", "skerry: --from is one of serial, product, machine-id"},
	} {
		out, err := skerryCommand(t, append([]string{"enroll"}, strings.Fields(strings.ReplaceAll(tt.args, "DIR", data))...)...)()
		if !strings.Contains(out, tt.want) || (err != nil) != strings.HasPrefix(tt.want, "skerry:") {
			t.Errorf("%s: %v\n%s", tt.args, err, out)
		}
		leaks(t, tt.args, out)
	}
}

// A publisher makes a claim, and the device that takes it has all it needs.
func TestFleetClaimCommand(t *testing.T) {
	dir := t.TempDir()
	r := &rig{t: t, dir: dir}
	r.write("broker", canary+"broker\n")
	r.write("registry", canary+"registry\n")
	t.Setenv("XDG_CONFIG_HOME", dir)
	init, err := skerryCommand(t, "fleet", "init", "oci-layout:"+r.path("fleet"), "--name", "west", "--device-config", r.path("device.yaml"))()
	if err != nil {
		t.Fatal(init)
	}
	out, err := skerryCommand(t, "fleet", "claim", "--broker", "mqtts://hub.example", "--username", "%i", "--password-file", r.path("broker"), "--id", "gw7",
		"--registry-username", "pull", "--registry-password-file", r.path("registry"), "--label", "site=west", "--out", r.path("claim"))()
	if err != nil || out != "" {
		t.Fatalf("%v: %s", err, out)
	}
	e, _ := enrolmentOf(t, r.path("data"), machine{})
	c, err := readClaim(r.path("claim"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.enrol(enrolOptions{claim: c}); err != nil {
		t.Fatal(err)
	}
	cfg, err := LoadConfig(writeConfig(t, "data: "+r.path("data")))
	if err != nil || cfg.Device.ID != "gw7" || cfg.Fleet.Username != "gw7" || cfg.Fleet.Name != "west" || cfg.Registry.Ref != "oci-layout:"+r.path("fleet")+":latest" || cfg.Registry.CredentialsFile == "" {
		t.Errorf("%+v, %+v, %v", cfg.Fleet, cfg.Registry, err)
	}
	many, err := skerryCommand(t, "fleet", "claim", "--many", "--valid", "1h")()
	if c, parseErr := parseClaim(many); err != nil || parseErr != nil || c.One || time.Until(c.Expires) > time.Hour {
		t.Errorf("%v, %v: %s", err, parseErr, many)
	}
	if out, err := skerryCommand(t, "fleet", "claim", "--many", "--id", "gw7")(); err == nil || !strings.Contains(out, "an id is for one") {
		t.Errorf("%v: %s", err, out)
	}
}
