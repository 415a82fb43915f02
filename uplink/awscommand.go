package uplink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	commandTimeout = 30 * time.Second
	commandPause   = 10 * time.Second // between two runs of a command, whatever it answers
	maxEarly       = 5 * time.Minute  // before they expire, credentials are asked for anew
	maxOutput      = 64 << 10         // bytes of a command's answer
)

// credentialCommand keeps the credentials that a program gives, in the format
// of AWS's credential_process, and runs it again before they expire. It runs
// once at a time, without a shell.
type credentialCommand struct {
	argv    []string
	timeout time.Duration
	turn    chan struct{} // holds the one turn to run

	mu   sync.Mutex
	kept credentials
	last lastRun
}

// lastRun is what is known of the last run: when it ended, by the clock that does
// not jump, and when its answer is due to be renewed, by AWS's.
type lastRun struct {
	ended time.Time
	due   time.Time
	err   error
}

func newCredentialCommand(argv []string) *credentialCommand {
	c := &credentialCommand{argv: argv, timeout: commandTimeout, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c
}

// get gives credentials, at now, by AWS's clock. While one caller waits for the
// program, others go on with those that are still good.
func (c *credentialCommand) get(ctx context.Context, now time.Time) (credentials, error) {
	kept, last := c.state()
	if last.settles(now) {
		return kept.orError(last.err, now)
	}
	select {
	case <-c.turn:
	default:
		if kept.good(now) {
			return kept, nil
		}
		select {
		case <-c.turn:
		case <-ctx.Done():
			return credentials{}, ctx.Err()
		}
	}
	defer func() { c.turn <- struct{}{} }()
	kept, last = c.state() // somebody may have run it meanwhile
	if !last.settles(now) {
		kept, last = c.run(ctx, now)
	}
	return kept.orError(last.err, now)
}

func (c *credentialCommand) state() (credentials, lastRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept, c.last
}

// run runs the program. What it gave before stays good when it fails.
func (c *credentialCommand) run(ctx context.Context, now time.Time) (credentials, lastRun) {
	fresh, err := c.ask(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last.err = err
	if err == nil {
		c.kept, c.last.due = fresh, time.Time{}
		if !fresh.expires.IsZero() {
			c.last.due = fresh.expires.Add(-min(maxEarly, fresh.expires.Sub(now)/4))
		}
	}
	if ctx.Err() == nil { // who gave up waiting says nothing about the program
		c.last.ended = time.Now()
	}
	return c.kept, c.last
}

// renew says that the credentials of key are taken no more, whatever the clock
// says. It tells whether the next get gives others: the program ran meanwhile, or
// will run, as its last run is a while ago.
func (c *credentialCommand) renew(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept.keyID != key {
		return c.kept.keyID != ""
	}
	c.last.due = time.Unix(0, 0)
	return time.Since(c.last.ended) >= commandPause
}

// settles tells that the program need not run now.
func (r lastRun) settles(now time.Time) bool {
	switch {
	case r.ended.IsZero():
		return false
	case time.Since(r.ended) < commandPause:
		return true
	}
	return r.err == nil && (r.due.IsZero() || now.Before(r.due))
}

func (cr credentials) good(now time.Time) bool {
	return cr.keyID != "" && (cr.expires.IsZero() || now.Before(cr.expires))
}

// orError prefers credentials to an error. Those that seem to have expired go
// out when the program has no better ones: the clock may be wrong, and AWS
// judges by its own.
func (cr credentials) orError(err error, now time.Time) (credentials, error) {
	if err == nil || cr.good(now) {
		return cr, nil
	}
	return credentials{}, err
}

// ask runs the program once. What it prints, and its arguments, may be secret:
// no error repeats them.
func (c *credentialCommand) ask(ctx context.Context) (credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	name := filepath.Base(c.argv[0])
	var out limitedBuffer
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Stdout, cmd.WaitDelay = &out, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with all that it started
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return credentials{}, fmt.Errorf("the credential command %s did not end within %s", name, c.timeout)
	case out.full:
		return credentials{}, fmt.Errorf("the credential command %s answers with more than %d bytes", name, maxOutput)
	case err != nil:
		return credentials{}, fmt.Errorf("the credential command %s failed (%w); run it as the agent's user to see why", name, err)
	}
	cr, err := parseCredentials(out.text)
	if err != nil {
		return cr, fmt.Errorf("the credential command %s: %w", name, err)
	}
	return cr, nil
}

// limitedBuffer refuses what goes beyond maxOutput.
type limitedBuffer struct {
	text []byte
	full bool
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if len(b.text)+len(p) > maxOutput {
		b.full = true
		return 0, io.ErrShortBuffer
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// parseCredentials reads the answer of a credential_process: a JSON object with
// Version 1, AccessKeyId, SecretAccessKey, and may be SessionToken and
// Expiration (RFC 3339).
func parseCredentials(text []byte) (credentials, error) {
	var in struct {
		Version                                                int
		AccessKeyID, SecretAccessKey, SessionToken, Expiration string
	}
	if json.Unmarshal(text, &in) != nil { // its error would repeat a piece of the text
		return credentials{}, errors.New("its answer is not a JSON object of the credential_process format")
	}
	cr := credentials{keyID: in.AccessKeyID, secret: in.SecretAccessKey, session: in.SessionToken}
	switch {
	case in.Version != 1:
		return credentials{}, fmt.Errorf("its answer has Version %d, only 1 is known", in.Version)
	case cr.keyID == "" || cr.secret == "":
		return credentials{}, errors.New("its answer lacks AccessKeyId or SecretAccessKey")
	}
	if in.Expiration != "" {
		var err error
		if cr.expires, err = time.Parse(time.RFC3339, in.Expiration); err != nil {
			return credentials{}, errors.New("its answer has an Expiration that is no time such as 2026-11-21T12:00:00Z")
		}
	}
	return cr, nil
}
