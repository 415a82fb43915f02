package author

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// job is a build under way.
type job struct {
	Source
	dir    string // of the module; compilers run there
	tmp    string // for what nobody keeps
	out    string // what the compiler writes
	stderr io.Writer
}

// builders compile to job.out, and tell with which program.
var builders = map[string]func(context.Context, *job) (compiler string, err error){
	"c":              buildC,
	"rust":           buildRust,
	"assemblyscript": buildAssemblyScript,
	"zig":            buildZig,
	"go":             buildGo,
}

// Build makes the module anew, and tells with which compiler. What the compiler
// says goes to stderr. An error is a *MissingError if there is no compiler.
func (s Source) Build(ctx context.Context, stderr io.Writer) (compiler string, err error) {
	sum, err := s.sum() // before: what is saved meanwhile is not in it
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "skerry-build-")
	if err != nil {
		return "", fmt.Errorf("make room for the build: %w", err)
	}
	defer os.RemoveAll(tmp)
	j := &job{Source: s, dir: filepath.Dir(s.Module), tmp: tmp, out: filepath.Join(tmp, filepath.Base(s.Module)), stderr: stderr}
	compiler, err = builders[s.Language](ctx, j)
	if err != nil {
		return "", err
	}
	module, err := os.ReadFile(j.out)
	if err != nil {
		return "", fmt.Errorf("read what %s wrote: %w", compiler, err)
	}
	return compiler, Replace(s.Module, marked(module, sum), 0o644)
}

// Replace writes a file as a whole, the one that a link leads to: who reads it
// meanwhile, and who has no space left, has the old one. It keeps its mode; a new one
// has that given. What is no file, a pipe for example, is written to.
func Replace(file string, data []byte, mode os.FileMode) error {
	if info, err := os.Stat(file); err == nil {
		mode = info.Mode().Perm()
		if !info.Mode().IsRegular() {
			return os.WriteFile(file, data, mode)
		}
	}
	if to, err := filepath.EvalSymlinks(file); err == nil {
		file = to
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".skerry-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // nobody misses it
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// run runs a compiler in the folder of the module, with more in its environment.
func (j *job) run(ctx context.Context, env []string, program string, args ...string) error {
	return j.runTo(ctx, j.stderr, env, program, args...)
}

// runTo is run for a program whose standard output is wanted.
func (j *job) runTo(ctx context.Context, stdout io.Writer, env []string, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = j.dir, stdout, j.stderr
	cmd.Env = slices.Concat(os.Environ(), offline, env, []string{"TMPDIR=" + j.tmp}) // goes with the build
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}                            // it ends with what it started
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &exit):
		return fmt.Errorf("%s does not compile: see what %s says above", filepath.Join(j.dir, j.Main), filepath.Base(program))
	case err != nil:
		return fmt.Errorf("run the compiler: %w", err)
	}
	return nil
}

// sdk is the folder of the SDK: sdk beside the source, or else the one that this
// program carries.
func (j *job) sdk() (string, error) {
	if info, err := os.Stat(filepath.Join(j.dir, sdkFolder(j.Language))); err == nil && info.IsDir() {
		return sdkFolder(j.Language), nil
	}
	dir := filepath.Join(j.tmp, "sdk")
	for name, text := range sdkFiles(j.Language) {
		to := filepath.Join(dir, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(to), 0o700)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			return "", fmt.Errorf("write the SDK: %w", err)
		}
	}
	return dir, nil
}

// text is the source that the compiler begins with.
func (j *job) text() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(j.dir, j.Main))
	if err != nil {
		return nil, fmt.Errorf("read the source: %w", err)
	}
	return text, nil
}
