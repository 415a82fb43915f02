package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/skerry-edge/skerry/internal/author"
)

func newCommand() *cobra.Command {
	var template, output string
	cmd := &cobra.Command{
		Use:   "new NAME -t TEMPLATE",
		Short: "Begin an app: a folder with a function, its manifest, an event and a test",
		Long: `Make the folder NAME with an app that builds and runs at once: app.yaml, the
function, event.json, NAME_test.yaml, and the SDK of the language. All of it comes
from this program; nothing is downloaded.

Without -t the templates are listed: one for each language, one of rules without
code, and all examples.`,
		Example: "  skerry new\n  skerry new boiler-alarm -t c",
		Args:    args(0, 1),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			switch {
			case template == "":
				return listTemplates(cmd, names, output)
			case len(names) == 0 || names[0] == "":
				return usageError{fmt.Errorf("say how it is called: skerry new NAME -t %s", template)}
			}
			return makeProject(cmd.OutOrStdout(), names[0], template, output)
		},
	}
	cmd.Flags().StringVarP(&template, "template", "t", "", "what it begins with: a language, rules, or an example")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	register(cmd, "template", func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
		for _, t := range author.Templates() {
			names = append(names, t.Name+"\t"+t.About)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

type templateReport struct {
	Name     string `json:"name"`
	Language string `json:"language"`
	About    string `json:"about"`
}

// listTemplates shows what there is. Who wanted a project has to say which.
func listTemplates(cmd *cobra.Command, names []string, output string) error {
	if len(names) > 0 {
		return usageError{fmt.Errorf("say what it begins with: skerry new %s -t go, rust, c, assemblyscript, zig, js or rules; skerry new lists the examples too", names[0])}
	}
	var all []templateReport
	for _, t := range author.Templates() {
		all = append(all, templateReport{t.Name, t.Language, t.About})
	}
	if output == "json" {
		return printJSON(cmd.OutOrStdout(), all)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TEMPLATE\tLANGUAGE\tABOUT")
	for _, t := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, t.Language, t.About)
	}
	return errors.Join(w.Flush(), hintNew(cmd.OutOrStdout()))
}

func hintNew(w io.Writer) error {
	_, err := fmt.Fprintln(w, "\nskerry new NAME -t TEMPLATE makes the folder NAME of one of them.")
	return err
}

// projectReport is what skerry new tells.
type projectReport struct {
	Folder   string   `json:"folder"`
	Template string   `json:"template"`
	Files    []string `json:"files"`
}

func makeProject(w io.Writer, dir, template, output string) error {
	t, err := author.FindTemplate(template)
	if err != nil {
		return usageError{err}
	}
	files, err := author.Make(dir, t)
	if errors.As(err, new(*fs.PathError)) {
		return err // what was asked for was right
	}
	if err != nil {
		return usageError{err}
	}
	if output == "json" {
		return printJSON(w, projectReport{dir, template, files})
	}
	var b strings.Builder
	fmt.Fprintf(&b, "made %s from the template %s: %s\n\nnext:\n", dir, template, strings.Join(rootNames(files), ", "))
	steps := []string{"cd " + shellWord(dir)}
	if slices.Contains(files, "package.json") {
		steps = append(steps, "npm install   # the compiler, once")
	}
	steps = append(steps, "skerry build", "skerry test")
	if t.Language != "rules" { // there is no function to run
		steps = append(steps, "skerry invoke")
	}
	fmt.Fprintf(&b, "  %s\n", strings.Join(steps, "\n  "))
	_, err = io.WriteString(w, b.String())
	return err
}

// rootNames names folders in place of what is in them.
func rootNames(files []string) []string {
	var names []string
	for _, file := range files {
		name, _, folder := strings.Cut(file, "/")
		if folder {
			name += "/"
		}
		names = append(names, name)
	}
	return slices.Compact(names)
}

// shellWord is a word as a shell takes it.
func shellWord(word string) string {
	if !strings.ContainsFunc(word, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("/._-", r)
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
