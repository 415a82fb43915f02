package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	fleetsync "github.com/skerry-edge/skerry/sync"
)

func fleetInitCommand() *cobra.Command {
	var p fleetFlags
	opts := fleetsync.InitOptions{}
	var deviceConfig string
	cmd := &cobra.Command{
		Use:   "init oci://HOST/REPOSITORY[:TAG]",
		Short: "Begin a fleet: make its keys, and the configuration for its devices",
		Long: `Make the keys of a new fleet, publish its first signatures, and write a
skerry.yaml for its devices, with the root of trust in it.

There are two keys at first: root.pem signs who may sign, and is needed again only
to change that; release.pem signs what is published. Keep copies of both in a safe
place, and take root.pem off this computer. Who loses the root keys has to give
every device a new skerry.yaml.`,
		Example: `  skerry fleet init oci://registry.example/acme/fleet
  skerry fleet init oci://registry.example/acme/fleet --root-keys 3 --threshold 2 --passphrase
  skerry fleet init oci-layout:/tmp/fleet`,
		Args: args(1, 1),
		RunE: func(cmd *cobra.Command, refs []string) error {
			p.to = refs[0]
			if err := p.initOptions(cmd.Context(), &opts); err != nil {
				return err
			}
			if _, err := os.Stat(deviceConfig); err == nil {
				return usageError{fmt.Errorf("%s is there already: name another file with --device-config", deviceConfig)}
			}
			if _, err := os.Stat(filepath.Dir(deviceConfig)); err != nil {
				return usageError{fmt.Errorf("--device-config: %w", err)}
			}
			made, err := fleetsync.InitFleet(cmd.Context(), opts)
			if err != nil {
				return err
			}
			if err := writeNew(deviceConfig, p.deviceYAML(made)); err != nil {
				return fmt.Errorf("the fleet is made, but the devices' configuration cannot be written: %w", err)
			}
			return p.printInit(cmd, made, opts.Keys, deviceConfig)
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Name, "name", "", "of the fleet; the last part of the repository, if it is not said")
	f.StringVar(&p.keys, "keys", os.Getenv(keysEnv), "folder to make for the keys; ~/.config/skerry/fleets/NAME, if it is not said; also from SKERRY_KEYS")
	f.IntVar(&opts.RootKeys, "root-keys", 1, "keys of the root")
	f.IntVar(&opts.Threshold, "threshold", 1, "how many root keys must sign a change of keys")
	f.BoolVar(&opts.Encrypt, "passphrase", false, "protect the keys with a passphrase, which is asked for or in SKERRY_PASSPHRASE_FILE")
	f.StringVar(&deviceConfig, "device-config", "skerry.yaml", "file to write for the devices")
	f.StringVar(&p.caFile, "ca-file", "", "PEM file of the authorities to trust instead of the system's")
	f.BoolVar(&p.plainHTTP, "plain-http", false, "use http with a registry that is not on this machine")
	f.StringVarP(&p.output, "output", "o", "text", "text or json")
	return cmd
}

func (p *fleetFlags) initOptions(ctx context.Context, opts *fleetsync.InitOptions) error {
	if opts.RootKeys < 1 || opts.RootKeys > 16 || opts.Threshold < 1 || opts.Threshold > opts.RootKeys {
		return usageError{fmt.Errorf("%d of %d root keys: 1 to 16 keys, and as many of them as must sign", opts.Threshold, opts.RootKeys)}
	}
	var err error
	if p.to, err = fromAnywhere(p.to); err != nil {
		return usageError{err}
	}
	name, err := fleetsync.RefName(p.to)
	if err != nil {
		return usageError{err}
	}
	opts.Name = cmp.Or(opts.Name, name)
	if p.keys == "" {
		dir, err := fleetsDir()
		if err != nil {
			return usageError{err}
		}
		p.keys = filepath.Join(dir, opts.Name)
	}
	opts.Access, err = p.access(ctx)
	return err
}

// fromAnywhere makes a reference to a folder one that holds in other folders too: it
// is noted with the keys and in the devices' configuration.
func fromAnywhere(ref string) (string, error) {
	dir, isDir := strings.CutPrefix(ref, layoutScheme)
	if !isDir || dir == "" {
		return ref, nil
	}
	dir, err := filepath.Abs(dir)
	return layoutScheme + dir, err
}

// deviceYAML is a configuration for the fleet's devices.
func (p *fleetFlags) deviceYAML(made fleetsync.InitResult) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# A gateway of the fleet %q. Every key: docs/configuration.md
device:
  id: gateway-1 # another one for each gateway
  labels: [] # such as site=west: what the fleet's assignments select by

registry:
  ref: %s
%s  # The fleet's first root of trust, sha256 %s.
  # It is no secret; who can change it here decides what runs.
  root: |
`, made.Name, made.Ref, p.deviceAccess(), made.Fingerprint)
	fmt.Fprintf(&b, "    %s\n", strings.TrimSpace(string(made.Root)))
	b.WriteString(`
# To be woken and to report (docs/fleet.md), add a url, or the name of a broker below.
fleet: {name: ` + made.Name + `}

# Where the sensors are: brokers to connect to, or one of its own.
# brokers: [{name: plant, url: "tcp://192.0.2.7:1883"}]
# broker: {listen: "0.0.0.0:1883", users: [{name: sensors, password_file: sensors.password}]}
`)
	return []byte(b.String())
}

// deviceAccess is how devices reach the registry, if not as most do.
func (p *fleetFlags) deviceAccess() string {
	var lines string
	if p.plainHTTP {
		lines += "  plain_http: true\n"
	}
	if p.caFile != "" {
		lines += fmt.Sprintf("  ca_file: /etc/skerry/registry-ca.pem # a copy of %s on each gateway\n", filepath.Base(p.caFile))
	}
	return lines
}

// writeNew writes a file that must not be there yet.
func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

func (p *fleetFlags) printInit(cmd *cobra.Command, made fleetsync.InitResult, keys, deviceConfig string) error {
	out := cmd.OutOrStdout()
	if p.output == "json" {
		return json.NewEncoder(out).Encode(map[string]any{
			"fleet": made.Name, "ref": made.Ref, "fingerprint": made.Fingerprint, "keys": keys, "key_files": made.KeyFiles, "device_config": deviceConfig,
		})
	}
	fmt.Fprintf(out, "fleet %s is begun at %s\n", made.Name, made.Ref)
	fmt.Fprintf(out, "  root     sha256 %s\n", made.Fingerprint)
	for _, file := range made.KeyFiles {
		fmt.Fprintf(out, "  key      %s\n", file)
	}
	fmt.Fprintf(out, "  devices  %s\n", deviceConfig)
	_, err := fmt.Fprintf(out, "Copy the folder %s to a safe place. Next: skerry publish app.yaml\n", keys)
	return err
}
