package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

// claimMaker is `skerry fleet claim`.
type claimMaker struct {
	fleetFlags
	broker           brokerAccess
	registryUser     string
	registryPassword string // file
	labels           []string
	id               string
	many             bool
	valid            time.Duration
	out              string
}

func fleetClaimCommand() *cobra.Command {
	var m claimMaker
	cmd := &cobra.Command{
		Use:   "claim [--many]",
		Short: "Make a claim: what a new device needs to become one of the fleet",
		Long: `Make a claim: where the fleet is published and whose keys it is signed with, its
broker, and the credentials for both, as one word. A device becomes one of the fleet
with "skerry enroll --claim", or by itself when the claim lies on its boot partition as
skerry-claim. Whoever has the claim has the credentials: treat it like a password.`,
		Example: "  skerry fleet claim --broker mqtts://hub.example:8883 --username %i --password-file new.password --id gw7 --out skerry-claim\n" +
			"  skerry fleet claim --many --valid 720h --label site=west --out skerry-claim",
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := m.make(cmd.Context())
			if err != nil {
				return usageError{err}
			}
			text, err := c.encode()
			if err != nil {
				return err
			}
			if m.out == "" {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
				return err
			}
			return writeSynced(m.out, []byte(text+"\n"))
		},
	}
	m.fleetFlags.flags(cmd)
	m.broker.flags(cmd, "broker", "the fleet's broker, such as mqtts://host:8883")
	f := cmd.Flags()
	f.Lookup("username").Usage = "who the device is at the broker; %i stands for its id"
	f.StringVar(&m.registryUser, "registry-username", "", "who the device is at the registry")
	f.StringVar(&m.registryPassword, "registry-password-file", "", "file whose first line is the password for that")
	f.StringArrayVar(&m.labels, "label", nil, "label of the device, such as site=west; may be repeated")
	f.StringVar(&m.id, "id", "", "the device's id; without it the device derives one")
	f.BoolVar(&m.many, "many", false, "it is for many devices, as on a golden image, and stays on each")
	f.DurationVar(&m.valid, "valid", 30*24*time.Hour, "how long it can be used")
	f.StringVar(&m.out, "out", "", "file to write it to, for its owner alone; without it, it is printed")
	return cmd
}

// make reads what the flags name. It asks nobody.
func (m *claimMaker) make(ctx context.Context) (*claim, error) {
	access, err := m.access(ctx)
	if err != nil {
		return nil, err
	}
	note, err := fleetsync.ReadKeys(access.Keys)
	if err != nil {
		return nil, err
	}
	root, err := os.ReadFile(filepath.Join(access.Keys, "root.json"))
	if err != nil {
		return nil, err
	}
	ref := note.Ref
	if m.to != "" {
		ref = m.to
	}
	c := &claim{
		Expires: time.Now().Add(m.valid).UTC().Truncate(time.Second), One: !m.many, ID: m.id, Labels: m.labels, Fleet: note.Name,
		Registry: claimRegistry{Ref: ref, Root: string(root), PlainHTTP: m.plainHTTP}, Broker: claimBroker{URL: m.broker.URL, Username: m.broker.Username},
	}
	for file, to := range map[string]*string{m.caFile: &c.Registry.CA, m.broker.CAFile: &c.Broker.CA} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		*to = string(text)
	}
	if m.broker.PasswordFile != "" {
		if c.Broker.Password, err = firstLine(m.broker.PasswordFile); err != nil {
			return nil, fmt.Errorf("--password-file: %w", err)
		}
	}
	if c.Registry.Credentials, err = m.credentials(ref); err != nil {
		return nil, err
	}
	if m.broker.CertFile+m.broker.KeyFile != "" {
		return nil, errors.New("a claim holds no client certificate: let the device make its key and sign that (skerry enroll --csr)")
	}
	return c, c.check()
}

// credentials are the registry's, as docker keeps them.
func (m *claimMaker) credentials(ref string) (string, error) {
	if m.registryUser == "" {
		return "", nil
	}
	if m.registryPassword == "" {
		return "", errors.New("--registry-username needs --registry-password-file")
	}
	password, err := firstLine(m.registryPassword)
	if err != nil {
		return "", fmt.Errorf("--registry-password-file: %w", err)
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(ref, registryScheme), "/")
	pair := base64.StdEncoding.EncodeToString([]byte(m.registryUser + ":" + password))
	text, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"auth": pair}}})
	return string(text), err
}
