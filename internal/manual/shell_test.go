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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
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

// usedPorts are those that the documents name, of brokers, pages and a cloud.
// 188$n and 918$n are those of the tutorial's loop.
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
	brokers, pages, cloud := tenFree(t), tenFree(t), tenFree(t)
	return strings.NewReplacer("127.0.0.1:188", "127.0.0.1:"+brokers, "127.0.0.1:918", "127.0.0.1:"+pages, "127.0.0.1:8080", "127.0.0.1:"+cloud+"0")
}

// tenFree returns all but the last digit of ten ports that nobody listens on, below
// those that the kernel gives out.
func tenFree(t *testing.T) string {
	t.Helper()
	start := 1100 + (os.Getpid()+int(time.Now().UnixNano()/1000))%1900
	for i := range 1900 {
		tens := strconv.Itoa(1100 + (start-1100+i)%1900)
		if tens[len(tens)-1] >= '0' && allFree(tens) {
			return tens
		}
	}
	t.Fatal("no ten ports in a row are free")
	return ""
}

func allFree(tens string) bool {
	for digit := range 10 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%s%d", tens, digit))
		if err != nil {
			return false
		}
		l.Close() //nolint:errcheck // it was only asked for
	}
	return true
}

var pageOfDefault = regexp.MustCompile(`(?m)^data: data$`)

// run gives the shell a block, and returns what it prints.
func (sh *shell) run(commands string) string {
	sh.t.Helper()
	sh.count++
	end := fmt.Sprintf("--- end of block %d ---", sh.count)
	commands = pageOfDefault.ReplaceAllString(commands, "data: data\npage: {listen: \"127.0.0.1:9180\"}") // the usual one may be taken here
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
