package testbed

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TokenServer gives out the tokens of a registry's users, as the distribution
// project specifies (https://distribution.github.io/distribution/spec/auth/token/):
// signed with ES256, with the certificate in the header x5c.
type TokenServer struct {
	*httptest.Server
	Service, Issuer string
	CertFile        string       // that the registry trusts
	Asked           atomic.Int64 // tokens that were asked for
	TTL             atomic.Int64 // of tokens, nanoseconds

	users map[string]TokenUser
	key   *ecdsa.PrivateKey
	cert  string // base64 of DER
}

// TokenUser is who may ask for tokens.
type TokenUser struct {
	Password string
	Actions  []string // pull, push
}

// StartTokenServer starts one on 127.0.0.1, over plain HTTP.
func StartTokenServer(t testing.TB, users map[string]TokenUser) *TokenServer {
	t.Helper()
	files := NewTLSFiles(t)
	pair, err := tls.LoadX509KeyPair(files.ServerCert, files.ServerKey)
	if err != nil {
		t.Fatalf("read the token server's key: %v", err)
	}
	s := &TokenServer{
		Service: "test-registry", Issuer: "test-issuer", CertFile: files.CA, users: users,
		key: pair.PrivateKey.(*ecdsa.PrivateKey), cert: base64.StdEncoding.EncodeToString(pair.Certificate[0]),
	}
	s.TTL.Store(int64(time.Minute))
	s.Server = httptest.NewServer(http.HandlerFunc(s.give))
	t.Cleanup(s.Close)
	return s
}

// grant is what a token allows: one repository's actions.
type grant struct {
	Type    string   `json:"type"`
	Name    string   `json:"name"`
	Actions []string `json:"actions"`
}

func (s *TokenServer) give(w http.ResponseWriter, r *http.Request) {
	s.Asked.Add(1)
	name, password, _ := r.BasicAuth()
	user, known := s.users[name]
	if !known || user.Password != password {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	var access []grant
	for _, scope := range r.URL.Query()["scope"] {
		for one := range strings.FieldsSeq(scope) {
			part := strings.Split(one, ":") // repository:acme/fleet:pull,push
			if len(part) != 3 {
				continue
			}
			actions := slices.DeleteFunc(strings.Split(part[2], ","), func(a string) bool { return !slices.Contains(user.Actions, a) })
			access = append(access, grant{part[0], part[1], actions})
		}
	}
	now := time.Now()
	ttl := time.Duration(s.TTL.Load())
	token, err := s.sign(map[string]any{
		"iss": s.Issuer, "sub": name, "aud": s.Service, "jti": rand.Text(), "access": access,
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(ttl).Unix(),
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"token": token, "expires_in": int(ttl.Seconds()), "issued_at": now.UTC()})
}

// sign makes a JSON Web Token.
func (s *TokenServer) sign(claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]any{"typ": "JWT", "alg": "ES256", "x5c": []string{s.cert}})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	x, y, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	x.FillBytes(signature[:32])
	y.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}
