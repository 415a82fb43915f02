package fleetsync

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/agent"
)

// LocalFunction reads the document of an app that is being written, and gives
// one of its functions as devices run it, and the path of its module. Name may
// be "" where the app has a single function. Digest and size are not filled in.
func LocalFunction(file, name string, interpreted bool, checks Checks) (fn agent.Function, module string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return fn, "", fmt.Errorf("read app: %w", err)
	}
	app, err := ParseApp(file, data, checks)
	if err != nil {
		return fn, "", err
	}
	names := slices.Sorted(maps.Keys(app.Functions))
	switch {
	case len(names) == 0:
		return fn, "", fmt.Errorf("%s has rules alone, and no function to run: try them with skerry test", file)
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "":
		return fn, "", fmt.Errorf("%s has the functions %s: say which with --function", file, strings.Join(names, ", "))
	case !slices.Contains(names, name):
		return fn, "", fmt.Errorf("%s has no function %.80q, but %s", file, name, strings.Join(names, ", "))
	}
	f := app.Functions[name]
	if f.Module.Path == "" {
		return fn, "", errors.New("function " + name + " names no file: give it module: {path: …}")
	}
	fn = f.bind(app.Metadata.Name+"/"+name, &Device{Interpreted: interpreted})
	return fn, resolvePath(file, f.Module.Path), nil
}
