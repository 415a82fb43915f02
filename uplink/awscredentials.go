package uplink

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"
)

// credentials sign requests to AWS.
type credentials struct {
	keyID, secret, session string
	expires                time.Time // zero: never
}

// credentialChain finds credentials: those of the configuration, of a command, or
// of a named profile; where none of them is configured, those of the environment,
// else those of the default profile. Files that changed are read anew; what a
// command gave is kept until it expires.
type credentialChain struct {
	keyID           string         // of the configuration; "" for another way
	secret, session *fresh[string] // session may be nil
	command         *credentialCommand
	profile         *profile
	chosen          bool // the profile is named: the environment does not count
}

// newCredentialChain checks what can be known before the first record: that
// not two ways are configured at once, and that there is one.
func newCredentialChain(cfg *TargetConfig) (*credentialChain, error) {
	own := cfg.AccessKeyID+cfg.SecretAccessKey+cfg.SecretAccessKeyFile+cfg.SessionToken+cfg.SessionTokenFile != ""
	command := len(cfg.CredentialCommand) > 0
	c := &credentialChain{profile: newProfile(cfg), chosen: cfg.Profile+cfg.CredentialsFile != ""}
	switch {
	case own && command || own && c.chosen || command && c.chosen:
		return nil, errors.New("access_key_id, credential_command, and profile or credentials_file exclude each other; keep one way to the credentials")
	case own:
		return c, c.configure(cfg)
	case command && cfg.CredentialCommand[0] == "":
		return nil, mistake("credential_command", "names no program; give its path first, then its arguments")
	case command && isLine(cfg.CredentialCommand[0]):
		return nil, mistake("credential_command", "is a list of the program and each of its arguments, such as [/usr/bin/helper, --profile, gw7], and no line of a shell")
	case command:
		c.command = newCredentialCommand(cfg.CredentialCommand)
	case !c.chosen && !inEnvironment() && !c.profile.exists():
		return nil, errors.New("credentials are missing; give access_key_id and secret_access_key, a credential_command " +
			"or a credentials_file, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	return c, nil
}

// isLine tells a command in one text from a program with a space in its path.
func isLine(program string) bool {
	_, err := exec.LookPath(program)
	return err != nil && strings.ContainsAny(program, " \t")
}

// configure takes what stands in the configuration, or in files of one line.
func (c *credentialChain) configure(cfg *TargetConfig) (err error) {
	if cfg.AccessKeyID == "" {
		return mistake("access_key_id", "is missing: it belongs to secret_access_key; give both")
	}
	if c.keyID, err = cfg.AccessKeyID, inHeader(cfg.AccessKeyID); err != nil {
		return mistake("access_key_id", "%v", err)
	}
	var err2 error
	c.secret, err = newSecret("secret_access_key", cfg.SecretAccessKey, cfg.SecretAccessKeyFile, nil)
	c.session, err2 = newSecret("session_token", cfg.SessionToken, cfg.SessionTokenFile, inHeader)
	if c.secret == nil && err == nil {
		err = mistake("secret_access_key", "is missing: it belongs to access_key_id; give both")
	}
	return errors.Join(err, err2)
}

// get gives the credentials to sign with at now, AWS's time. Its errors are
// sentences and never hold what was read.
func (c *credentialChain) get(ctx context.Context, now time.Time) (cr credentials, err error) {
	switch {
	case c.keyID != "":
		cr = credentials{keyID: c.keyID, secret: c.secret.get()}
		if c.session != nil {
			cr.session = c.session.get()
		}
		return cr, nil // it was checked
	case c.command != nil:
		cr, err = c.command.get(ctx, now)
	case !c.chosen && inEnvironment():
		cr = credentials{
			keyID: os.Getenv("AWS_ACCESS_KEY_ID"), secret: os.Getenv("AWS_SECRET_ACCESS_KEY"),
			session: os.Getenv("AWS_SESSION_TOKEN"),
		}
	default:
		cr, err = c.profile.get(ctx, now)
	}
	if err == nil && !validValue(cr.keyID+cr.session) {
		err = errors.New("the key id or the session token holds characters that a header cannot carry")
	}
	return cr, err
}

// renew says that AWS takes the credentials of key no more, whatever our clock
// says. It tells whether get gives others now.
func (c *credentialChain) renew(key string) bool {
	command := c.command
	if command == nil {
		command = c.profile.process()
	}
	return command != nil && command.renew(key)
}

// secrets are those that are known now.
func (c *credentialChain) secrets() []string {
	all := []string{os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")}
	if c.keyID != "" {
		all = append(all, c.secret.get())
	}
	if c.session != nil {
		all = append(all, c.session.get())
	}
	return append(all, c.profile.secrets(c.command)...)
}

func (c *credentialChain) note() string {
	return cmp.Or(noteOf("secret_access_key_file", c.secret), noteOf("session_token_file", c.session))
}

func inEnvironment() bool {
	return os.Getenv("AWS_ACCESS_KEY_ID") != "" && os.Getenv("AWS_SECRET_ACCESS_KEY") != ""
}
