package codecache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/tetratelabs/wazero"

	"github.com/skerry-edge/skerry/wasm/instrument"
)

// job is the work of the compiling process.
type job struct {
	folder    string // where native code goes; "" drops it
	memory    int64  // bytes at most
	size      int64  // bytes of a file at most
	time      time.Duration
	interpret bool
}

// output is what a job gives: on standard output, a line of JSON and then the
// module.
type output struct {
	Globals []string
	Impure  bool
	Unkept  string // why the folder has no native code although there is a compiler
	module  []byte // rewritten
}

func (o *output) unkept() error {
	if o.Unkept == "" {
		return nil
	}
	return errors.New(o.Unkept)
}

// Main is the compiling process: a module on standard input, its native code
// into the folder that args name, the rest on standard output. The exit code is
// 0, or 1 after one sentence on standard error.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if err := serve(args, stdin, stdout); err != nil {
		fmt.Fprintln(stderr, sentence(err.Error()))
		return 1
	}
	return 0
}

func serve(args []string, stdin io.Reader, stdout io.Writer) error {
	j, err := parseJob(args)
	if err != nil {
		return err
	}
	if err := j.limit(); err != nil {
		return fmt.Errorf("limit the compiling process: %w", err)
	}
	bin, err := io.ReadAll(stdin)
	if err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	out, err := j.run(context.Background(), bin)
	if err != nil {
		return err
	}
	return out.write(stdout)
}

// args is j as parseJob reads it.
func (j *job) args() []string {
	return []string{
		"-memory=" + strconv.FormatInt(j.memory, 10), "-time=" + j.time.String(),
		"-size=" + strconv.FormatInt(j.size, 10),
		"-interpret=" + strconv.FormatBool(j.interpret), "-folder=" + j.folder,
	}
}

func parseJob(args []string) (*job, error) {
	j := &job{}
	flags := flag.NewFlagSet("compile-module", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&j.folder, "folder", "", "where native code goes")
	flags.Int64Var(&j.memory, "memory", 512<<20, "bytes at most")
	flags.Int64Var(&j.size, "size", 256<<20, "bytes of a file at most")
	flags.DurationVar(&j.time, "time", 2*time.Minute, "time at most")
	flags.BoolVar(&j.interpret, "interpret", false, "do not compile")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 || j.memory <= 0 || j.size <= 0 || j.time <= 0 {
		return nil, errors.New("compile-module is run by the agent itself; to check a module, publish it")
	}
	return j, nil
}

// run rewrites and compiles a module.
func (j *job) run(ctx context.Context, bin []byte) (out *output, err error) {
	defer catch(&err)
	res, err := instrument.Rewrite(bin, instrument.Options{Remainders: runtime.GOARCH == "arm64"})
	if err != nil {
		return nil, err
	}
	out = &output{Globals: res.Globals, Impure: res.Impure, module: res.Module}
	err = j.compile(ctx, res.Module)
	if errors.Is(err, syscall.ENOMEM) {
		return nil, j.needsMemory()
	}
	var path *fs.PathError
	var errno syscall.Errno
	if errors.As(err, &path) || errors.As(err, &errno) { // compiled, not written
		out.Unkept, err = sentence(err.Error()), nil
	}
	return out, err
}

// catch makes an error of a panic: wazero 1.12.0 panics on some broken modules.
func catch(err *error) {
	switch p := recover().(type) {
	case nil:
	case syscall.Errno: // no room for native code
		*err = p
	default:
		*err = fmt.Errorf("the module is broken in a way that its compiler did not expect (%v); build it again, with another version of its tools", p)
	}
}

// compile compiles a rewritten module into j.folder. If the folder takes nothing,
// it compiles all the same, to know that the module can be, and returns the error
// of the file system.
func (j *job) compile(ctx context.Context, module []byte) (err error) {
	defer catch(&err)
	config := RuntimeConfig(j.interpret)
	var unkept error
	if j.folder != "" {
		cache, err := wazero.NewCompilationCacheWithDir(j.folder)
		if err == nil {
			defer cache.Close(ctx)
			config = config.WithCompilationCache(cache)
		} else {
			unkept = &fs.PathError{Op: "fill", Path: j.folder, Err: err}
		}
	}
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	if _, err := rt.CompileModule(ctx, module); err != nil {
		return err
	}
	return unkept
}

func (o *output) write(w io.Writer) error {
	head, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if len(head)+len(o.module) >= maxOutput {
		return fmt.Errorf("module grows beyond %s when it is made ready to run; build it with optimisation for size", mebibytes(maxOutput))
	}
	for _, part := range [][]byte{head, {'\n'}, o.module} {
		if _, err := w.Write(part); err != nil {
			return fmt.Errorf("hand back the module: %w", err)
		}
	}
	return nil
}

func readOutput(b []byte) (*output, error) {
	head, module, _ := bytes.Cut(b, []byte("\n"))
	o := &output{module: module}
	if err := json.Unmarshal(head, o); err != nil {
		return nil, fmt.Errorf("read what the compiling process made: %w", err)
	}
	return o, nil
}

const maxSentence = 400 // bytes

// sentence is text that may go to logs and terminals as one line, although parts
// of it may come from the module.
func sentence(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	if len(text) > maxSentence {
		text = strings.ToValidUTF8(text[:maxSentence], "") + "..."
	}
	return text
}
