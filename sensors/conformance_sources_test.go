package sensors_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/internal/testbed"
	"github.com/skerry-edge/skerry/sensors"
)

// httpPlace is callers that try again when they are told to.
func httpPlace(t *testing.T) *place {
	addr := testbed.Addr(testbed.FreePort(t))
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	call := func(text string) (status int) {
		resp, err := c.Post("http://"+addr+"/in/a", "text/plain", strings.NewReader(text))
		if err != nil {
			return 0 // the source has stopped
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	return &place{
		open: func() (conforming, error) {
			return sensors.NewHTTP(sensors.HTTPOptions{Device: "gw7", Listen: addr, MaxWaiting: 10, MaxBody: 100, Rate: 10_000, Log: quiet()})
		},
		triggers: []agent.Trigger{{Name: "app/a", Via: "http", Filter: "a"}},
		happen: func(texts ...string) {
			for _, text := range texts {
				taken := make(chan struct{})
				go func() {
					defer close(taken)
					for call(text) == http.StatusServiceUnavailable {
						<-time.After(100 * time.Millisecond)
					}
				}()
				select { // callers are patient, but not for ever
				case <-taken:
				case <-time.After(100 * time.Millisecond):
				}
			}
		},
		looks: agent.Event{Source: "/gw7/http", Type: "io.skerry.http", Subject: "a", ContentType: "text/plain", Via: "http", QoS: 1},
		bound: 10, once: true,
		spoil:  func() { call(strings.Repeat("x", 200)) },
		spoilt: "413 Request Entity Too Large: 1",
	}
}

// filesPlace is a directory in which each event is a file of that name.
func filesPlace(t *testing.T) *place {
	d := newSpool(t)
	d.dir = d.path("in")
	must(t, os.Mkdir(d.dir, 0o700))
	var written atomic.Int64
	begin := time.Now().Add(-time.Hour)
	return &place{
		open: func() (conforming, error) {
			return sensors.NewFiles(sensors.FilesOptions{
				Name: "in", Device: "gw7", Path: d.dir, Poll: 10 * time.Millisecond, Content: true, MaxSize: 100, Notes: d.memo, Log: quiet(),
			})
		},
		triggers: follow("in"),
		happen: func(texts ...string) {
			for _, text := range texts {
				part := filepath.Join(d.dir, ".part")
				at := begin.Add(time.Duration(written.Add(1)) * time.Second)
				if os.WriteFile(part, []byte(text), 0o600) == nil && os.Chtimes(part, at, at) == nil {
					os.Rename(part, d.path(text))
				}
			}
		},
		looks: agent.Event{Source: "/gw7/files/in", Type: "io.skerry.file.create", ContentType: "text/plain; charset=utf-8", Via: "in", QoS: 1},
		bound: 64, lasting: true,
		spoil:  func() { d.write("large", strings.Repeat("x", 200)) },
		spoilt: "files over 100 bytes left alone: 1",
		cut: func() {
			must(t, os.Rename(d.dir, d.dir+".away"))
			must(t, os.Rename(d.dir+".away", d.dir))
		},
	}
}

// tailPlace is a file that is written to, and rotated.
func tailPlace(t *testing.T) *place {
	l := newLogFile(t)
	l.say("")
	return &place{
		open: func() (conforming, error) {
			return sensors.NewTail(sensors.TailOptions{
				Name: "log", Device: "gw7", Path: l.path, Poll: 5 * time.Millisecond, MaxLine: 100, Notes: l.memo, Log: quiet(),
			})
		},
		triggers: follow("log"),
		happen:   func(texts ...string) { l.say(strings.Join(texts, "\n") + "\n") },
		looks:    agent.Event{Source: "/gw7/tail/log", Type: "io.skerry.tail", Subject: "log", ContentType: "text/plain; charset=utf-8", Via: "log", QoS: 1},
		bound:    64, lasting: true,
		spoil:  func() { l.say(strings.Repeat("x", 200) + "\n") },
		spoilt: "1 lines over 100 bytes left out",
		cut: func() {
			l.rename(".1")
			l.say("")
		},
	}
}

// processPlace is a command that says what it reads from a named pipe.
func processPlace(t *testing.T) *place {
	dir := t.TempDir()
	pipe, pid := filepath.Join(dir, "pipe"), filepath.Join(dir, "pid")
	must(t, syscall.Mkfifo(pipe, 0o600))
	in, err := os.OpenFile(pipe, os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { in.Close() })
	return &place{
		open: func() (conforming, error) {
			return sensors.NewProcess(sensors.ProcessOptions{
				Name: "meter", Device: "gw7", Command: []string{"/bin/sh", "-c", `echo $$ > "$PID"; exec cat "$PIPE"`},
				Env: []string{"PIPE=" + pipe, "PID=" + pid}, MaxLine: 100, Log: quiet(),
			})
		},
		triggers: follow("meter"),
		happen:   func(texts ...string) { fmt.Fprintln(in, strings.Join(texts, "\n")) },
		looks:    agent.Event{Source: "/gw7/process/meter", Type: "io.skerry.process", Subject: "meter", ContentType: "text/plain; charset=utf-8", Via: "meter", QoS: 1},
		bound:    64,
		spoil:    func() { fmt.Fprintln(in, strings.Repeat("x", 200)) },
		spoilt:   "1 lines over 100 bytes left out",
		cut: func() {
			text, err := os.ReadFile(pid)
			must(t, err)
			n, err := strconv.Atoi(strings.TrimSpace(string(text)))
			must(t, err)
			must(t, syscall.Kill(n, syscall.SIGKILL))
			testbed.Eventually(t, patience, "it is gone: until then it may take what comes after", func() error {
				if err := syscall.Kill(n, 0); err == nil && !zombie(n) {
					return fmt.Errorf("process %d is there", n)
				}
				return nil
			})
		},
	}
}
