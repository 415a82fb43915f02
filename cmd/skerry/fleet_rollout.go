package main

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/agent"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// planning makes a command that plans what to publish, shows it, asks and publishes it.
func planning(cmd *cobra.Command, plan func(cmd *cobra.Command, repo *fleetsync.FleetRepo, words []string) (*fleetsync.Plan, error)) *cobra.Command {
	var p fleetFlags
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		repo, err := p.open(cmd)
		if err != nil {
			return err
		}
		planned, err := plan(cmd, repo, words)
		if err != nil {
			return err
		}
		return p.finish(cmd, repo, planned)
	}
	p.flags(cmd)
	p.asking(cmd)
	return cmd
}

// editing is planning an edit of the published fleet document.
func editing(cmd *cobra.Command, edit func(repo *fleetsync.FleetRepo, f *fleetsync.Fleet, words []string) error) *cobra.Command {
	return planning(cmd, func(_ *cobra.Command, repo *fleetsync.FleetRepo, words []string) (*fleetsync.Plan, error) {
		return repo.Edit(func(f *fleetsync.Fleet) error { return edit(repo, f, words) })
	})
}

func fleetPromoteCommand() *cobra.Command {
	percent := "100"
	cmd := editing(&cobra.Command{
		Use:   "promote APP VERSION",
		Short: "Give a published version to more devices",
		Long: `Raise (or lower) the percentage of the assignments of a version. Devices that are
in stay in when it is raised. A version that no assignment names yet comes before
the others of its app, for all devices but those that an assignment names by
their ids. At 100 percent those that it leaves without effect go. An app that is
paused stays so: skerry fleet resume.`,
		Example: "  skerry fleet promote overheat 1.4.0 --percent 10\n  skerry fleet promote overheat 1.4.0",
		Args:    words(2, "an app and its version"),
	}, func(repo *fleetsync.FleetRepo, f *fleetsync.Fleet, words []string) error {
		n, err := parsePercent(percent)
		if err != nil {
			return usageError{fmt.Errorf("--percent %s: %w", percent, err)}
		}
		v := agent.AppVersion{Name: words[0], Version: words[1]}
		if _, err := repo.App(v); err != nil {
			return usageError{err}
		}
		promote(f, v, n)
		return nil
	})
	cmd.Flags().StringVar(&percent, "percent", percent, "of the devices that the assignment selects")
	return cmd
}

// promote sets the percentage of the assignments of a version.
func promote(f *fleetsync.Fleet, v agent.AppVersion, percent float64) {
	named := func(a fleetsync.Assignment) bool { return a.App == v.Name && a.Version == v.Version }
	if !slices.ContainsFunc(f.Assignments, named) {
		at := newPlace(f.Assignments, v.Name)
		paused := slices.ContainsFunc(f.Assignments, func(a fleetsync.Assignment) bool { return a.App == v.Name && a.Paused })
		f.Assignments = slices.Insert(f.Assignments, at, fleetsync.Assignment{App: v.Name, Version: v.Version, Paused: paused})
	}
	for i := range f.Assignments {
		if a := &f.Assignments[i]; named(*a) {
			if a.Percent = &percent; percent == 100 {
				a.Percent = nil
			}
		}
	}
	// What comes after an assignment for the same devices, all of them, has no effect.
	var out []fleetsync.Assignment
	for _, a := range f.Assignments {
		hidden := slices.ContainsFunc(out, func(b fleetsync.Assignment) bool {
			return named(b) && b.Percent == nil && !b.Paused && (b.Selector == nil || reflect.DeepEqual(a.Selector, b.Selector)) && a.App == b.App
		})
		if !hidden {
			out = append(out, a)
		}
	}
	f.Assignments = out
}

// newPlace is where an assignment of an app for all devices goes: before its others,
// but for those that name devices, which are a person's decision about these.
func newPlace(list []fleetsync.Assignment, app string) int {
	at := len(list)
	for i, a := range list {
		if a.App != app {
			continue
		}
		if a.Selector == nil || len(a.Selector.Devices) == 0 {
			return i
		}
		at = i + 1
	}
	return at
}

func fleetPauseCommand() *cobra.Command {
	return editing(&cobra.Command{
		Use:   "pause [APP]",
		Short: "Have devices keep what they run, of one app or of all",
		Long: `Have every device keep the versions it runs, whatever else is published, until
skerry fleet resume. A version that is revoked stops all the same.`,
		Example: "  skerry fleet pause\n  skerry fleet pause overheat",
		Args:    args(0, 1),
	}, func(_ *fleetsync.FleetRepo, f *fleetsync.Fleet, words []string) error {
		return setPaused(f, words, true)
	})
}

func fleetResumeCommand() *cobra.Command {
	return editing(&cobra.Command{
		Use:     "resume [APP]",
		Short:   "End a pause",
		Example: "  skerry fleet resume overheat",
		Args:    args(0, 1),
	}, func(_ *fleetsync.FleetRepo, f *fleetsync.Fleet, words []string) error {
		return setPaused(f, words, false)
	})
}

func setPaused(f *fleetsync.Fleet, app []string, paused bool) error {
	if len(app) == 0 {
		f.Paused = paused
		return nil
	}
	return eachOf(f, app[0], func(a *fleetsync.Assignment) { a.Paused = paused })
}

// eachOf calls do with each assignment of an app.
func eachOf(f *fleetsync.Fleet, app string, do func(*fleetsync.Assignment)) error {
	found := false
	for i := range f.Assignments {
		if f.Assignments[i].App == app {
			do(&f.Assignments[i])
			found = true
		}
	}
	if !found {
		return usageError{fmt.Errorf("the fleet assigns no app %q: see skerry fleet show", app)}
	}
	return nil
}

func fleetRollbackCommand() *cobra.Command {
	var revision int64
	cmd := planning(&cobra.Command{
		Use:   "rollback [APP]",
		Short: "Go back to the assignments of an earlier revision, of one app or of all",
		Long: `Publish the assignments of the revision before, or of --revision, anew: devices get
the versions that they had then. Devices that went back by themselves need no help.`,
		Example: "  skerry fleet rollback overheat\n  skerry fleet rollback --revision 41",
		Args:    args(0, 1),
	}, func(cmd *cobra.Command, repo *fleetsync.FleetRepo, app []string) (*fleetsync.Plan, error) {
		old, err := earlier(cmd, repo, revision, app)
		if err != nil {
			return nil, err
		}
		return repo.Edit(func(f *fleetsync.Fleet) error { return goBack(f, old, app) })
	})
	cmd.Flags().Int64Var(&revision, "revision", 0, "of the fleet document to go back to; see skerry fleet history")
	return cmd
}

// lookBack is how many publications a rollback looks through.
const lookBack = 100

// earlier finds the fleet document to go back to: the newest whose assignments,
// of the app if one is named, are others than now.
func earlier(cmd *cobra.Command, repo *fleetsync.FleetRepo, revision int64, app []string) (*fleetsync.Fleet, error) {
	list, err := repo.History(cmd.Context(), lookBack)
	if err != nil {
		return nil, err
	}
	now := ofApp(repo.Fleet().Assignments, app)
	for _, e := range list {
		if e.Fleet == nil || revision != 0 && e.Revision != revision {
			continue
		}
		if then := ofApp(e.Fleet.Assignments, app); revision != 0 || len(then) > 0 && !reflect.DeepEqual(then, now) {
			return e.Fleet, nil
		}
	}
	if revision != 0 {
		return nil, usageError{fmt.Errorf("revision %d is not among the last %d publications: see skerry fleet history", revision, lookBack)}
	}
	return nil, errors.New("there is nothing to go back to: no earlier publication has other assignments")
}

// ofApp are the assignments of an app, all if none is named, without pauses: who
// goes back wants to get there.
func ofApp(list []fleetsync.Assignment, app []string) []fleetsync.Assignment {
	var out []fleetsync.Assignment
	for _, a := range list {
		if a.Paused = false; len(app) == 0 || a.App == app[0] {
			out = append(out, a)
		}
	}
	return out
}

func goBack(f, old *fleetsync.Fleet, app []string) error {
	if len(app) == 0 {
		f.Assignments = ofApp(old.Assignments, nil)
		return nil
	}
	at := slices.IndexFunc(f.Assignments, func(a fleetsync.Assignment) bool { return a.App == app[0] })
	if at < 0 {
		at = len(f.Assignments)
	}
	rest := slices.DeleteFunc(slices.Clone(f.Assignments), func(a fleetsync.Assignment) bool { return a.App == app[0] })
	f.Assignments = slices.Insert(rest, min(at, len(rest)), ofApp(old.Assignments, app)...)
	return nil
}

func fleetRevokeCommand() *cobra.Command {
	var replace string
	cmd := planning(&cobra.Command{
		Use:   "revoke APP VERSION",
		Short: "Take a version out of what is signed: no device runs it any more, nor goes back to it",
		Long: `Take a version out of what is signed, as when it turns out to be dangerous. Devices
stop it at their next look, also paused ones, and none goes back to it. Assignments
that name it need a replacement: another version, or none.`,
		Example: "  skerry fleet revoke overheat 1.3.2\n  skerry fleet revoke overheat 1.4.0 --replace 1.3.1",
		Args:    words(2, "an app and its version"),
	}, func(_ *cobra.Command, repo *fleetsync.FleetRepo, words []string) (*fleetsync.Plan, error) {
		plan, err := repo.Revoke(agent.AppVersion{Name: words[0], Version: words[1]}, replace)
		if err != nil {
			return nil, usageError{err}
		}
		return plan, nil
	})
	cmd.Flags().StringVar(&replace, "replace", "", "version that its devices run instead, or none")
	return cmd
}

// words checks that there are so many arguments.
func words(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s: see %s --help", cmd.Name(), what, cmd.CommandPath())}
		}
		return nil
	}
}
