package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/sync/trust"
)

// claim is what a device without an identity needs to become one of a fleet. Whoever
// has it can do so, until it expires: it holds credentials.
type claim struct {
	V        int           `json:"v"` // 1
	Expires  time.Time     `json:"expires,omitzero"`
	One      bool          `json:"one,omitempty"` // it is for one device, which deletes it
	ID       string        `json:"id,omitempty"`  // of that one; "" for one that it derives
	Labels   []string      `json:"labels,omitempty"`
	Fleet    string        `json:"fleet,omitempty"`
	Registry claimRegistry `json:"registry,omitzero"`
	Broker   claimBroker   `json:"broker,omitzero"`
}

// claimRegistry is where the device's apps come from.
type claimRegistry struct {
	Ref         string `json:"ref"`
	Root        string `json:"root"`                  // of the fleet's keys, JSON
	CA          string `json:"ca,omitempty"`          // PEM
	Credentials string `json:"credentials,omitempty"` // a docker config.json
	PlainHTTP   bool   `json:"plain_http,omitempty"`
}

// claimBroker is the fleet's broker.
type claimBroker struct {
	URL      string `json:"url"`
	Username string `json:"username,omitempty"` // with the device's id for each %i
	Password string `json:"password,omitempty"`
	CA       string `json:"ca,omitempty"` // PEM
}

const (
	claimMark = "skerry-claim-1"
	maxClaim  = 64 << 10 // bytes
)

// encode gives a claim as one word: a mark, base64, and a checksum, so that what was
// copied in part is told from what was not.
func (c *claim) encode() (string, error) {
	c.V = 1
	data, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write the claim: %w", err)
	}
	return strings.Join([]string{claimMark, base64.RawURLEncoding.EncodeToString(data), claimSum(data)}, ":"), nil
}

func claimSum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data))[:8] }

// parseClaim reads a claim; spaces and line ends in it do not count. An error does
// not repeat it.
func parseClaim(text string) (*claim, error) {
	parts := strings.Split(strings.Join(strings.Fields(text), ""), ":")
	if len(parts) != 3 || parts[0] != claimMark || len(text) > maxClaim {
		return nil, errors.New("it is no claim: make one with skerry fleet claim, and copy all of it")
	}
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || claimSum(data) != parts[2] {
		return nil, errors.New("the claim is damaged, or only a part of it: copy all of what skerry fleet claim wrote")
	}
	var c claim
	if err := json.Unmarshal(data, &c); err != nil || c.V != 1 {
		return nil, errors.New("the claim is for another release of skerry: make one with that of this device")
	}
	return &c, c.check()
}

// check refuses what would make a configuration that the agent does not take.
func (c *claim) check() error {
	switch {
	case c.Registry.Ref == "" && c.Broker.URL == "":
		return errors.New("the claim names no registry and no broker: there would be nothing to do")
	case c.ID != "" && !c.One:
		return errors.New("the claim has an id, and is for many devices: an id is for one")
	case c.ID != "" && !names.MatchString(c.ID):
		return fmt.Errorf("the claim's id is 1 to 64 letters, digits, dots, dashes and underscores, not %q", c.ID)
	case (c.Fleet != "" || c.Broker.URL != "") && !names.MatchString(c.Fleet):
		return fmt.Errorf("the claim's fleet is 1 to 64 letters, digits, dots, dashes and underscores, not %q", c.Fleet)
	}
	if c.Registry.Ref != "" {
		if _, err := trust.Fingerprint([]byte(c.Registry.Root)); err != nil {
			return fmt.Errorf("the claim's root of keys cannot be read: %w", err)
		}
	}
	if strings.ContainsAny(c.Broker.Username+c.Broker.Password, "\r\n") {
		return errors.New("the claim's user name or password has more than one line")
	}
	return nil
}

// expired tells whether a claim is over, by a clock that is known to be right. By
// another one nobody can tell.
func (c *claim) expired(now time.Time, sure bool) bool {
	return sure && !c.Expires.IsZero() && now.After(c.Expires)
}

// readClaim reads a claim that is given: the name of its file, or itself.
func readClaim(given string) (*claim, error) {
	if strings.HasPrefix(given, claimMark) {
		return parseClaim(given)
	}
	return readClaimFile(given)
}

func readClaimFile(path string) (*claim, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxClaim {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), maxClaim)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := parseClaim(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
