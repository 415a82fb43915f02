package sensors

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sensors/broker"
)

// account is a user of the broker. Passwords are kept as hashes, so that
// comparing them takes the same time for all of them.
type account struct {
	password [32]byte
	file     string // in place of password
	rights   broker.Rights
}

func newAccounts(users []User) (map[string]account, error) {
	accounts := make(map[string]account, len(users))
	for _, u := range users {
		if u.Name == "" || u.Password == "" && u.PasswordFile == "" {
			return nil, fmt.Errorf("user %q needs a name and a password", u.Name)
		}
		if _, twice := accounts[u.Name]; twice {
			return nil, fmt.Errorf("user %q is there twice", u.Name)
		}
		for _, list := range [][]string{u.Publish, u.Subscribe} {
			for _, filter := range list {
				if err := agent.CheckFilter(filter); err != nil {
					return nil, fmt.Errorf("user %q: %w", u.Name, err)
				}
			}
		}
		accounts[u.Name] = account{
			password: sha256.Sum256([]byte(u.Password)), file: u.PasswordFile,
			rights: broker.Rights{Publish: u.Publish, Subscribe: u.Subscribe},
		}
	}
	return accounts, nil
}

// login tells what a client may do. Without a name only anonymous clients do;
// a name that is given must be right.
func (b *Broker) login(l broker.Login) (broker.Rights, bool) {
	if l.User == withinUser {
		return broker.Rights{}, subtle.ConstantTimeCompare([]byte(b.within), l.Password) == 1
	}
	if l.User == "" || len(b.users) == 0 {
		if !b.opts.Anonymous {
			b.refused(l)
		}
		return broker.Rights{}, b.opts.Anonymous
	}
	u, known := b.users[l.User]
	want := u.password
	if u.file != "" {
		password, err := readPassword(u.file)
		if err != nil {
			b.log.Error("client refused: its password cannot be read", "user", l.User, "error", err)
			return broker.Rights{}, false
		}
		want = sha256.Sum256([]byte(password))
	}
	got := sha256.Sum256(l.Password)
	if subtle.ConstantTimeCompare(want[:], got[:]) == 1 && known {
		return u.rights, true
	}
	b.refused(l)
	return broker.Rights{}, false
}

func (b *Broker) refused(l broker.Login) {
	b.log.Warn("client refused: unknown user or wrong password", "user", l.User, "client", l.ClientID, "remote", l.Remote)
}

const maxPassword = 64 << 10 // bytes of a file; a token may be long

// readPassword is the first line of a file. An empty one is a mistake.
func readPassword(path string) (string, error) {
	text, err := readSome(path, maxPassword)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("read password: the first line of %s is empty", path)
	}
	return line, nil
}

func readSome(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are read", path, info.Size(), limit)
	}
	return os.ReadFile(path)
}

// ServerTLS is a configuration whose certificate is read anew when its files
// change. A new one that cannot be read leaves the old one in use.
func ServerTLS(certFile, keyFile string) (*tls.Config, error) {
	cert, err := loadKeyPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	r := &renewing{certFile: certFile, keyFile: keyFile, cert: &cert}
	r.seen = r.changed()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: r.get}, nil
}

// renewing is a certificate that somebody renews on disk.
type renewing struct {
	certFile, keyFile string

	mu   sync.Mutex
	cert *tls.Certificate
	seen [2]time.Time
}

// changed is when the files were.
func (r *renewing) changed() (at [2]time.Time) {
	for i, path := range []string{r.certFile, r.keyFile} {
		if info, err := os.Stat(path); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

func (r *renewing) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.changed(); now != r.seen {
		if cert, err := loadKeyPair(r.certFile, r.keyFile); err == nil { // else in mid-renewal
			r.cert, r.seen = &cert, now
		}
	}
	return r.cert, nil
}
