package uplink

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// profile is one profile of AWS's own files: keys, or a credential_process, in
// the shared credentials file or in the config file beside it.
type profile struct {
	name  string
	files []profileFile

	mu      sync.Mutex
	line    string             // credential_process, as it was used last
	command *credentialCommand // that it names
}

type profileFile struct{ path, section string }

// newProfile looks where AWS's own programs look. A credentials_file of the
// configuration is the only place then.
func newProfile(cfg *TargetConfig) *profile {
	p := &profile{name: cmp.Or(cfg.Profile, os.Getenv("AWS_PROFILE"), "default")}
	if cfg.CredentialsFile != "" {
		p.files = []profileFile{{cfg.CredentialsFile, p.name}}
		return p
	}
	inConfig := "profile " + p.name
	if p.name == "default" {
		inConfig = p.name
	}
	p.add(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), "credentials", p.name)
	p.add(os.Getenv("AWS_CONFIG_FILE"), "config", inConfig)
	return p
}

// add adds the file of the environment, else the one of that name in ~/.aws.
func (p *profile) add(file, usual, section string) {
	if home, err := os.UserHomeDir(); file == "" && err == nil {
		file = filepath.Join(home, ".aws", usual)
	}
	if file != "" {
		p.files = append(p.files, profileFile{file, section})
	}
}

// exists tells whether one of the files holds credentials.
func (p *profile) exists() bool {
	settings, err := p.settings()
	return err == nil && (settings["aws_access_key_id"] != "" || settings["credential_process"] != "")
}

// get reads the profile anew.
func (p *profile) get(ctx context.Context, now time.Time) (credentials, error) {
	s, err := p.settings()
	if err != nil {
		return credentials{}, err
	}
	cr := credentials{keyID: s["aws_access_key_id"], secret: s["aws_secret_access_key"], session: s["aws_session_token"]}
	switch line := s["credential_process"]; {
	case cr.keyID != "" && cr.secret != "":
		return cr, nil
	case cr.keyID != "":
		return cr, fmt.Errorf("profile %s has aws_access_key_id but no aws_secret_access_key; give both", p.name)
	case line != "":
		command, err := p.commandOf(line)
		if err != nil {
			return cr, err
		}
		return command.get(ctx, now)
	}
	return cr, fmt.Errorf("profile %s has neither aws_access_key_id nor credential_process; roles and single sign-on "+
		"are reached through a credential_command such as aws configure export-credentials --format process", p.name)
}

func (p *profile) commandOf(line string) (*credentialCommand, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil && p.line == line {
		return p.command, nil
	}
	argv, err := splitCommand(line)
	if err != nil {
		return nil, fmt.Errorf("credential_process of profile %s: %w", p.name, err)
	}
	p.line, p.command = line, newCredentialCommand(argv)
	return p.command, nil
}

// process is the command that get used last, nil if there was none.
func (p *profile) process() *credentialCommand {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command
}

// secrets are those in the files, and those that the commands gave.
func (p *profile) secrets(command *credentialCommand) []string {
	var all []string
	if s, err := p.settings(); err == nil {
		all = append(all, s["aws_secret_access_key"], s["aws_session_token"])
	}
	for _, c := range []*credentialCommand{command, p.process()} {
		if c != nil {
			kept, _ := c.state()
			all = append(all, kept.secret, kept.session)
		}
	}
	return all
}

// settings are the profile's, keys in lower case. What stands in the first
// file wins, and keys of one file are not mixed with those of another.
func (p *profile) settings() (map[string]string, error) {
	all := map[string]string{}
	found := false
	for _, f := range p.files {
		text, err := readCredential(f.path)
		if errors.Is(err, os.ErrNotExist) && len(p.files) > 1 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the profile %s: %w", p.name, err)
		}
		section, ok := profileSection(string(text), f.section)
		found = found || ok
		keys := all["aws_access_key_id"] != ""
		for name, value := range section {
			if all[name] == "" && !(keys && strings.HasPrefix(name, "aws_")) {
				all[name] = value
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("profile %s stands in none of AWS's files that this agent can see; "+
			"name the file as credentials_file, or its profile as profile", p.name)
	}
	return all, nil
}

// profileSection reads one section of an AWS file: "[name]", then "key = value"
// lines; indented lines belong to the one before and are no concern of ours.
func profileSection(text, name string) (section map[string]string, ok bool) {
	section = map[string]string{}
	inside := false
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, maxCredential+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \t\r")
		switch {
		case line == "" || strings.ContainsRune("#; \t", rune(line[0])):
		case line[0] == '[':
			inside = sectionName(line) == name
			ok = ok || inside
		case inside:
			if i := strings.IndexAny(line, "=:"); i > 0 {
				section[strings.ToLower(strings.TrimSpace(line[:i]))] = strings.TrimSpace(line[i+1:])
			}
		}
	}
	return section, ok
}

// sectionName reads "[profile name]"; the name may stand in quotes.
func sectionName(line string) string {
	inner, _, _ := strings.Cut(line[1:], "]")
	inner = strings.TrimSpace(inner)
	if words, err := splitCommand(inner); err == nil {
		return strings.Join(words, " ")
	}
	return inner
}

// splitCommand splits a line into words as a POSIX shell does, and does nothing
// else that a shell does.
func splitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	started, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && quote != '\'':
			if i+1 == len(line) {
				return nil, errors.New("it ends in a backslash; remove it")
			}
			next := line[i+1]
			if quote == '"' && next != '"' && next != '\\' {
				word.WriteByte(c) // a backslash as it is
				continue
			}
			i, started = i+1, true
			word.WriteByte(next)
		case quote != 0:
			word.WriteByte(c)
		case c == '"' || c == '\'':
			quote, started = c, true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
		default:
			started = true
			word.WriteByte(c)
		}
	}
	switch {
	case quote != 0:
		return nil, errors.New("a quotation mark has no partner; add it")
	case started:
		words = append(words, word.String())
	case len(words) == 0:
		return nil, errors.New("it names no program; give one")
	}
	return words, nil
}
