package uplink

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	googleTokenURL = "https://oauth2.googleapis.com/token"
	jwtGrant       = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	jwtLife        = time.Hour // of what is signed here, and of Google's ID tokens
)

// serviceAccount is a key file of Google Cloud.
type serviceAccount struct {
	Type       string `json:"type"`
	Email      string `json:"client_email"`
	KeyID      string `json:"private_key_id"`
	PrivateKey string `json:"private_key"` // PEM
	TokenURI   string `json:"token_uri"`

	key *rsa.PrivateKey
}

// readServiceAccount reads a key file. The error holds nothing of it.
func readServiceAccount(file string) (*serviceAccount, error) {
	text, err := readCredential(file)
	if err != nil {
		return nil, err
	}
	var a serviceAccount
	if json.Unmarshal(text, &a) != nil {
		return nil, fmt.Errorf("%s is not JSON", file)
	}
	if a.Type != "service_account" || a.Email == "" {
		return nil, fmt.Errorf("%s is no key of a service account: make one with gcloud iam service-accounts keys create", file)
	}
	if a.TokenURI, err = checkURL("token_uri", cmp.Or(a.TokenURI, googleTokenURL)); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if a.key, err = rsaKey(a.PrivateKey); err != nil {
		return nil, fmt.Errorf("%s: private_key %w", file, err)
	}
	return &a, nil
}

func rsaKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("is not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("is no RSA key")
}

// idToken gets Google ID tokens for one audience with the key of a service
// account.
type idToken struct {
	*tokens
	sender   *sender
	account  *fresh[*serviceAccount]
	audience string
	clock    farClock
}

func newIDToken(c *TargetConfig, s *sender, audience string) (auth, error) {
	account, err := newFresh(func() (*serviceAccount, error) { return readServiceAccount(c.ServiceAccount) }, c.ServiceAccount)
	if err != nil {
		return nil, mistake("service_account_file", "cannot be used: %v", err)
	}
	t := &idToken{sender: s, account: account, audience: audience, clock: farClock{now: c.Now}}
	t.tokens = newTokens(t.request)
	return t, nil
}

// request signs a claim and exchanges it for a token. Should the endpoint
// refuse, and its clock be far from ours, it is signed again with its time.
func (t *idToken) request(ctx context.Context) (token, error) {
	signed := t.clock.time()
	a, err := t.exchange(ctx, signed)
	if err == nil && (a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized) && t.clock.set(a.header, signed) {
		a, err = t.exchange(ctx, t.clock.time())
	}
	got, err := granted(a, err, "id_token")
	if err != nil {
		return token{}, err
	}
	return newToken(got.value, jwtLifeOf(got.value)), nil
}

func (t *idToken) exchange(ctx context.Context, now time.Time) (*answer, error) {
	account := t.account.get()
	claim, err := account.sign(t.audience, now)
	if err != nil {
		return nil, &Error{Class: Hold, Reason: "the key of the service account cannot sign: " + err.Error(), Err: err}
	}
	return ask(ctx, t.sender, account.TokenURI, "", url.Values{"grant_type": {jwtGrant}, "assertion": {claim}})
}

// sign makes a JWT (RS256) that asks for an ID token for the audience.
func (a *serviceAccount) sign(audience string, now time.Time) (string, error) {
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
		Kid string `json:"kid,omitempty"`
	}{"RS256", "JWT", a.KeyID})
	if err != nil {
		return "", err
	}
	from := now.Add(-10 * time.Second) // a clock may be a little ahead of Google's
	claims, err := json.Marshal(struct {
		Iss      string `json:"iss"`
		Aud      string `json:"aud"`
		Iat      int64  `json:"iat"`
		Exp      int64  `json:"exp"`
		Audience string `json:"target_audience"`
	}{a.Email, a.TokenURI, from.Unix(), from.Add(jwtLife).Unix(), audience})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, sum[:])
	if err != nil {
		return "", err
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// jwtLifeOf is how long a JWT is worth something from when it was given, by its
// own words, so that no clock of ours has a say.
func jwtLifeOf(jwt string) time.Duration {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return defaultTokenLife
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ Iat, Exp float64 }
	if err != nil || json.Unmarshal(text, &claims) != nil || !(claims.Exp-claims.Iat >= 1) || claims.Iat <= 0 {
		return defaultTokenLife
	}
	return time.Duration(min(claims.Exp-claims.Iat, maxTokenLife.Seconds()) * float64(time.Second))
}

func (t *idToken) apply(ctx context.Context, r *outgoing) error { return t.bearer(ctx, r) }
func (t *idToken) again(r *outgoing, a *answer) bool            { return t.drop(r, a) }
func (t *idToken) note() string                                 { return noteOf("service_account_file", t.account) }

func (t *idToken) secrets() []string {
	now, _, _ := t.now()
	return []string{now.value}
}
