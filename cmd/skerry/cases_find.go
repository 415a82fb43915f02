package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skerry-edge/skerry/internal/cases"
)

// findCases gives the files of tests that names name: files, folders, and folders
// with all below, DIR/... .
func findCases(names []string, said io.Writer) (files []string, err error) {
	for _, name := range names {
		dir, below := strings.CutSuffix(name, "...")
		if dir == "" && below {
			dir = "."
		}
		dir = filepath.Clean(dir)
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("there is no file or folder %s", dir)
		case err != nil:
			return nil, err
		case !info.IsDir():
			files = append(files, dir)
			continue
		}
		found, err := casesIn(dir, below, said)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	if files = slices.Compact(files); len(files) == 0 {
		return nil, fmt.Errorf("there is no *%s with kind: Test in %s: skerry new makes a function with one", cases.Suffix, strings.Join(names, ", "))
	}
	return files, nil
}

// casesIn gives the files of tests of a folder. Files of that name that say of
// themselves that they are something else are told, and passed over.
func casesIn(dir string, below bool, said io.Writer) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			if path != dir && (!below || foreignFolder(e.Name())) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, cases.Suffix) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !cases.IsTest(text) {
			fmt.Fprintf(said, "note: %s is passed over: it does not say kind: Test\n", path)
			return nil
		}
		files = append(files, path)
		return nil
	})
	return files, err
}

// foreignFolder tells whether what is in a folder was not written by who works here.
func foreignFolder(name string) bool {
	return strings.HasPrefix(name, ".") || name == "node_modules" || name == "target" || name == "testdata"
}
