package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// enroller is `skerry enroll`.
type enroller struct {
	config, data string
	claim, csr   string
	cert         string
	opts         enrolOptions
	out          io.Writer
}

func enrollCommand() *cobra.Command {
	var e enroller
	cmd := &cobra.Command{
		Use:   "enroll [--claim FILE] [--id ID]",
		Short: "Give this device an identity: an id, a key, and its fleet's credentials",
		Long: `Give this device an identity: an id, which stays the same for its whole life, and
what a claim of its fleet brings (skerry fleet claim): where its apps come from, whose
keys they are signed with, the fleet's broker, credentials. It is kept in identity/ of
the data directory, beside the configuration file, which counts more. The id is that
of the claim, or made of the board's serial number, its product id, or /etc/machine-id.

A device that has an identity keeps its id, and gets what another claim brings. On
other hardware than it was enrolled on, as after copying a card, the agent does not
start: give the copy an identity of its own, or say --keep.`,
		Example: "  sudo skerry enroll --claim skerry-claim\n" +
			"  sudo skerry enroll --id gw7 --csr gw7.csr   # have that signed, then:\n" +
			"  sudo skerry enroll --cert gw7.crt",
		Args: args(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			e.out = cmd.OutOrStdout()
			return e.run()
		},
	}
	f := cmd.Flags()
	f.StringVarP(&e.config, "config", "c", "/etc/skerry/skerry.yaml", "configuration file of the agent; there need not be one")
	f.StringVar(&e.data, "data", "", "the agent's data directory, if not that of the configuration")
	f.StringVar(&e.opts.id, "id", "", "the device's id")
	f.StringVar(&e.opts.from, "from", "", "what to make the id of: "+strings.Join(idSources, ", "))
	f.StringVar(&e.claim, "claim", "", "file with a claim, or the claim itself")
	f.BoolVar(&e.opts.keep, "keep", false, "the hardware was exchanged, and this is the same device")
	f.StringVar(&e.csr, "csr", "", "make a key that stays here, and write a request for its certificate to this file")
	f.StringVar(&e.cert, "cert", "", "file with the certificate that was made of the request")
	return cmd
}

func (e *enroller) run() error {
	if e.opts.from != "" && !slices.Contains(idSources, e.opts.from) {
		return usageError{fmt.Errorf("--from is one of %s, not %q", strings.Join(idSources, ", "), e.opts.from)}
	}
	en, err := e.enrolment()
	if err != nil {
		return usageError{err}
	}
	if e.claim != "" {
		if e.opts.claim, err = readClaim(e.claim); err != nil {
			return usageError{err}
		}
	}
	if err := mendIdentity(en.data); err != nil {
		return err
	}
	if e.cert != "" {
		return en.certify(e.cert)
	}
	id, err := en.enrol(e.opts)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run it as root, or as the user of the agent", err)
	}
	if err != nil {
		return usageError{err}
	}
	if e.opts.claim != nil && !strings.HasPrefix(e.claim, claimMark) {
		en.use(e.opts.claim, e.claim)
	}
	en.told("this device is %s (id: %s); its identity is in %s/%s: start the agent, or start it again", id.ID, id.From, en.data, identityDir)
	if e.csr != "" {
		if err := en.request(id.ID, e.csr); err != nil {
			return err
		}
		en.told("the request is in %s: have it signed for clients, and bring the certificate with: skerry enroll --cert FILE", e.csr)
	}
	return nil
}

// enrolment finds the data directory.
func (e *enroller) enrolment() (*enrolment, error) {
	told := func(format string, args ...any) { fmt.Fprintf(e.out, format+"\n", args...) }
	if _, err := os.Stat(e.config); e.data != "" || errors.Is(err, fs.ErrNotExist) {
		return &enrolment{data: cmp.Or(e.data, os.Getenv(envName([]string{"data"})), defaultData), root: "/", now: wallClock, told: told}, nil
	}
	en, _, err := enrolled(e.config, told)
	return en, err
}
