package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

var errInterrupted = errors.New("interrupted: nothing was published")

// passphrases gives the passphrase of a key file, and asks for each file once.
func passphrases(ctx context.Context) func(file string) ([]byte, error) {
	known := map[string][]byte{}
	return func(file string) ([]byte, error) {
		if text, there := known[file]; there {
			return text, nil
		}
		text, err := passphrase(ctx, file)
		if err == nil {
			known[file] = text
		}
		return text, err
	}
}

// passphrase gets that of a key file: from the file or the value that the
// environment names, or from the person in front; twice for a new key.
func passphrase(ctx context.Context, file string) ([]byte, error) {
	if path := os.Getenv("SKERRY_PASSPHRASE_FILE"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("SKERRY_PASSPHRASE_FILE: %w", err)
		}
		return notEmpty(bytes.TrimRight(text, "\r\n"))
	}
	if text := os.Getenv("SKERRY_PASSPHRASE"); text != "" {
		return []byte(text), nil
	}
	in := int(os.Stdin.Fd())
	if !term.IsTerminal(in) {
		return nil, fmt.Errorf("the key %s has a passphrase: give it in SKERRY_PASSPHRASE_FILE, or run this on a terminal", file)
	}
	first, err := askHidden(ctx, in, "passphrase of "+file+": ")
	if _, statErr := os.Stat(file); err != nil || statErr == nil {
		return first, err
	}
	if _, err := notEmpty(first); err != nil {
		return nil, err
	}
	again, err := askHidden(ctx, in, "again: ")
	if err == nil && !bytes.Equal(first, again) {
		err = errors.New("the two differ: run it again")
	}
	return first, err
}

func notEmpty(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errors.New("an empty passphrase protects nothing: write one, or leave --passphrase out")
	}
	return passphrase, nil
}

func askHidden(ctx context.Context, in int, prompt string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	fmt.Fprint(os.Stderr, prompt)
	defer fmt.Fprintln(os.Stderr)
	shown, err := term.GetState(in)
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	text, err := whileWanted(ctx, func() ([]byte, error) { return term.ReadPassword(in) })
	if errors.Is(err, errInterrupted) {
		return nil, errors.Join(err, term.Restore(in, shown))
	}
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	return text, nil
}

// confirm asks the person in front.
func confirm(cmd *cobra.Command, question string) error {
	if !isTerminal(os.Stdin) {
		return usageError{errors.New("nobody is there to be asked: read the changes above, and run it again with --yes")}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := whileWanted(cmd.Context(), func() (string, error) { return bufio.NewReader(os.Stdin).ReadString('\n') })
	if errors.Is(err, errInterrupted) {
		fmt.Fprintln(cmd.ErrOrStderr())
		return err
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was published")
	}
	return nil
}

// whileWanted returns what a person writes, or errInterrupted at Ctrl-C, of which a
// read that waits knows nothing: it goes on until the program ends.
func whileWanted[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type answer struct {
		text T
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		text, err := read()
		given <- answer{text, err}
	}()
	select {
	case a := <-given:
		return a.text, a.err
	case <-ctx.Done():
		return *new(T), errInterrupted
	}
}
