package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

func supportBundleCommand() *cobra.Command {
	var o bundleOptions
	cmd := &cobra.Command{
		Use:   "support-bundle [-o FILE.tar.gz]",
		Short: "Pack what a supporter needs, without secrets",
		Long: `Pack what somebody needs who is to find a fault here: version, configuration,
status, health, history, apps, logs, dead letters without their data, what waits and
why, what skerry doctor says of this device (without asking anybody), its kernel,
memory, disks and clock, sizes of the data directory's files, and the stacks of the
running agent. A few MiB at most. Nothing is sent.

Credentials, tokens, keys, header values and passwords in addresses are replaced by
` + hidden + `: by where they stand, by what the configured files hold, and by how
they look. What functions logged is in it: read it before you send it.

The running agent is asked; if none runs, its data directory is opened, by its owner.`,
		Example: "  skerry support-bundle\n  skerry support-bundle -o fault.tar.gz --without logs.jsonl\n  ssh gateway skerry support-bundle -o - > fault.tar.gz",
		Args:    args(0, 0),
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", defaultConfig, "configuration file of the agent")
	f.StringVar(&o.socket, "socket", "", "the agent's unix socket, instead of that of the configuration")
	f.StringVarP(&o.file, "output", "o", "", "file to write, - for standard output (default skerry-support-DEVICE-TIME.tar.gz)")
	f.BoolVar(&o.withData, "with-data", false, "also the data of dead letters")
	f.StringArrayVar(&o.without, "without", nil, "leave out this part, such as logs.jsonl or apps; may be repeated")
	return cmd
}

// bundleOptions say what is packed, and where to.
type bundleOptions struct {
	config, socket, file string
	withData             bool
	without              []string
}

func (o *bundleOptions) run(cmd *cobra.Command) error {
	b := o.gather(cmd.Context(), time.Now().UTC().Truncate(time.Second))
	var packed bytes.Buffer
	if err := b.write(&packed); err != nil {
		return err
	}
	size := int64(packed.Len())
	if o.file == "-" {
		_, err := packed.WriteTo(cmd.OutOrStdout())
		return errors.Join(err, b.print(cmd.ErrOrStderr(), "-", size))
	}
	file := cmp.Or(o.file, b.folder()+".tar.gz")
	if err := writeBundle(file, &packed); err != nil {
		return err
	}
	return b.print(cmd.OutOrStdout(), file, size)
}

// writeBundle writes a file that was not there, for its owner to read.
func writeBundle(file string, from io.Reader) error {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return usageError{fmt.Errorf("%s is there already: name another file with -o", file)}
	}
	if err != nil {
		return fmt.Errorf("%w: name a file elsewhere with -o", err)
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
