package manual

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// shell is a bash that stays open from one block to the next, as a reader's does:
// variables, the folder and background jobs last. It and all that it started is
// killed at the end of the test.
type shell struct {
	t     *testing.T
	in    io.Writer
	out   *bufio.Reader
	count int
	ports *strings.Replacer // ports of the document become free ones
}

// openShell starts one in a folder of its own, with the program on its PATH.
func openShell(t *testing.T) *shell {
	t.Helper()
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	buildOnce(t, bin)
	cmd := exec.Command("bash", "--norc", "--noprofile")
	cmd.Dir = filepath.Join(home, "work")
	if err := os.Mkdir(cmd.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Env = environ(home, bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) //nolint:errcheck // gone already is fine
		cmd.Wait()                                      //nolint:errcheck // it was killed
	})
	sh := &shell{t: t, in: in, out: bufio.NewReader(out), ports: freePorts(t)}
	// What the test has already is not fetched and built again.
	sh.run(`git() { mkdir -p skerry/bin && ln -s "$SKERRY_BINARY" skerry/bin/skerry; }; make() { :; }`)
	return sh
}

// environ is what a reader's shell has, with a home of its own; what Go has built is not
// built again.
func environ(home, bin string) []string {
	env := []string{
		"HOME=" + home, "PATH=" + bin + ":" + os.Getenv("PATH"), "SKERRY_BINARY=" + filepath.Join(bin, "skerry"),
		"SKERRY_DEVICE_CLAIM_FILE=" + filepath.Join(home, "no-claim"), "LANG=C.UTF-8",
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT"} {
		out, err := exec.Command("go", "env", name).Output()
		if value := strings.TrimSpace(string(out)); err == nil && value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// freePorts puts ten free ports in a row in the place of 1880 to 1889, ten others in
// that of 9180 to 9189, and one in that of 8080.
func freePorts(t *testing.T) *strings.Replacer {
	t.Helper()
	brokers := tenFree(t, 1100+os.Getpid()%1000)
	pages := tenFree(t, brokers+1)
	cloud := tenFree(t, pages+1)
	return strings.NewReplacer("127.0.0.1:188", fmt.Sprint("127.0.0.1:", brokers), "127.0.0.1:918", fmt.Sprint("127.0.0.1:", pages),
		"127.0.0.1:8080", fmt.Sprintf("127.0.0.1:%d0", cloud))
}

// tenFree returns all but the last digit of ten ports that nobody listens on, the first
// from that on. They are below those that the kernel gives out.
func tenFree(t *testing.T, from int) int {
	t.Helper()
	for tens := from; tens < 3200; tens++ {
		if allFree(tens) {
			return tens
		}
	}
	t.Fatal("no ten ports in a row are free")
	return 0
}

func allFree(tens int) bool {
	for digit := range 10 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d%d", tens, digit))
		if err != nil {
			return false
		}
		l.Close() //nolint:errcheck // it was only asked for
	}
	return true
}

// pageOfDefault is where a page is to be put that listens elsewhere than usual: that port
// may be taken on this machine.
var pageOfDefault = regexp.MustCompile(`(?m)^data: data$`)

// run gives the shell a block, and returns what it prints.
func (sh *shell) run(commands string) string {
	sh.t.Helper()
	sh.count++
	end := fmt.Sprintf("--- end of block %d ---", sh.count)
	commands = pageOfDefault.ReplaceAllString(commands, "data: data\npage: {listen: \"127.0.0.1:9180\"}")
	commands = sh.ports.Replace(commands)
	if _, err := fmt.Fprintf(sh.in, "%s\necho; echo '%s'\n", strings.TrimRight(commands, "\n"), end); err != nil {
		sh.t.Fatalf("the shell is gone: %v", err)
	}
	var out strings.Builder
	for {
		line, err := sh.out.ReadString('\n')
		if strings.TrimSpace(line) == end {
			return out.String()
		}
		if out.WriteString(line); err != nil {
			sh.t.Fatalf("the shell ended: %v\n%s", err, out.String())
		}
	}
}
