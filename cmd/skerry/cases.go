package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/cases"
)

// testOptions are the flags of skerry test.
type testOptions struct {
	pattern string
	output  string
	update  bool
	noBuild bool

	run *regexp.Regexp // nil: all tests
}

func testCommand() *cobra.Command {
	var o testOptions
	cmd := &cobra.Command{
		Use:   "test [DIR|FILE…]",
		Short: "Run the tests of functions, *_test.yaml, and show what is different",
		Long: `Run the tests in *_test.yaml of this folder and all below, or of the folders and
files that are named (DIR alone, DIR/... with all below). A test gives events and
state, and names what the functions are to do: publishes, follow-ups, emitted
events, dead letters, answers to who posted an event, log lines, state.

Modules that were built from another source are built first (skerry build).
Functions run here, in the sandbox that devices have, each test in an agent that
starts with nothing. Its clock is moved by hand: windows, pauses and timers take no
time. Nothing leaves this machine; requests over http are refused.

Exit codes: 0 all passed, 1 one failed or could not be built, 2 the command line, a
file of tests or a manifest is wrong, or there are no tests.`,
		Example: `  skerry test
  skerry test examples/... --run 'one alarm' -o junit > report.xml
  skerry test overheat_test.yaml --update`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.check(); err != nil {
				return usageError{err}
			}
			return o.test(cmd.Context(), names, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.pattern, "run", "", "only tests whose names this regular expression matches")
	f.StringVarP(&o.output, "output", "o", "text", "text, json or junit")
	f.BoolVar(&o.noBuild, "no-build", false, "run modules as they are, also those that were built from another source")
	f.BoolVar(&o.update, "update", false, "write what happened into expect and after of the tests that fail")
	return cmd
}

func (o *testOptions) check() (err error) {
	if !slices.Contains([]string{"text", "json", "junit"}, o.output) {
		return fmt.Errorf("-o %s is not known: use text, json or junit", o.output)
	}
	if o.pattern != "" {
		if o.run, err = regexp.Compile(o.pattern); err != nil {
			return fmt.Errorf("--run: %w", err)
		}
	}
	return nil
}

// test runs the tests that names name, and prints what came of them.
func (o *testOptions) test(ctx context.Context, names []string, out, said io.Writer) error {
	if len(names) == 0 {
		names = []string{"./..."}
	}
	paths, err := findCases(names, said)
	if err != nil {
		return usageError{err}
	}
	printer := cases.Printer{Out: out, Color: colored(out)}
	var reports []*cases.Report
	var wrong []error
	for _, path := range paths {
		r, err := o.file(ctx, path, said)
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case err != nil:
			wrong = append(wrong, err)
			r = &cases.Report{File: path, Error: err.Error(), Tests: []cases.Result{}}
		case len(r.Tests) == 0:
			continue // --run names none of them
		}
		reports = append(reports, r)
		if o.output == "text" && err == nil {
			if err := printer.Print(r); err != nil {
				return err
			}
		}
	}
	return errors.Join(o.print(out, reports), o.verdict(out, reports, wrong))
}

// print writes the reports of all files in a form for programs.
func (o *testOptions) print(out io.Writer, reports []*cases.Report) error {
	switch o.output {
	case "json":
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Files []*cases.Report `json:"files"`
		}{reports})
	case "junit":
		return cases.JUnit(out, reports)
	}
	return nil
}

// verdict is nil if all tests passed.
func (o *testOptions) verdict(out io.Writer, reports []*cases.Report, wrong []error) error {
	passed, failed, updated, took := 0, 0, 0, 0.0
	for _, r := range reports {
		passed, failed, updated, took = passed+r.Passed, failed+r.Failed, updated+r.Updated, took+r.Took
	}
	if o.output == "text" && passed+failed+updated > 0 {
		also := ""
		if updated > 0 {
			also = fmt.Sprintf(", %d updated: read what was written before you keep it", updated)
		}
		if _, err := fmt.Fprintf(out, "%s passed, %d failed in %s%s\n", agent.CountText(passed, "test"), failed, time.Duration(took*float64(time.Second)).Round(time.Millisecond), also); err != nil {
			return err
		}
	}
	switch {
	case len(wrong) > 0:
		return errors.Join(wrong...) // the exit code is that of one that is wrong, if any is
	case len(reports) == 0:
		return usageError{fmt.Errorf("--run %s names no test", o.pattern)}
	case failed > 0 && o.update:
		return fmt.Errorf("%s failed, and what is expected there stays as it is: a function fails, or does not start", agent.CountText(failed, "test"))
	case failed > 0:
		return fmt.Errorf("%s failed", agent.CountText(failed, "test"))
	}
	return nil
}

// colored tells whether out is a terminal that wants colours.
func colored(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && isTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
