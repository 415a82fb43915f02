package uplink_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skerry-edge/skerry/uplink"
)

// oauthConfig is a target at far whose tokens come from issuer.
func oauthConfig(far, issuer string) uplink.TargetConfig {
	c := kindConfig("http", far)
	c.Auth, c.TokenURL, c.ClientID, c.Secret, c.Scope = "oauth2", issuer+"/token?tenant=canary", "gw7", "canary secret", "a b"
	return c
}

// Eight sends at once ask for one token; a token that the far side refuses
// before its time is replaced once.
func TestOAuthToken(t *testing.T) {
	var given atomic.Int64
	var refuse atomic.Bool
	issuer := newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "gw7" || secret != "canary+secret" {
			t.Errorf("asked by %q with %q", id, secret)
		}
		fmt.Fprintf(w, `{"access_token":"canary%d","token_type":"bearer","expires_in":"3600"}`, given.Add(1))
	})
	far := newCounter(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() && r.Header.Get("Authorization") == "Bearer canary1" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	target := open(t, oauthConfig(far.URL, issuer.URL))
	var g errgroup.Group
	for range 8 {
		g.Go(func() error { return target.Send(t.Context(), sample()) })
	}
	if err := g.Wait(); err != nil || given.Load() != 1 {
		t.Fatalf("%v, %d tokens", err, given.Load())
	}
	if _, body := issuer.got(); body != "grant_type=client_credentials&scope=a+b" {
		t.Errorf("asked for %q", body)
	}
	refuse.Store(true)
	for range 2 {
		if err := target.Send(t.Context(), sample()); err != nil || given.Load() != 2 {
			t.Errorf("%v, %d tokens", err, given.Load())
		}
	}
}

// An issuer that wants id and secret in the form gets them there, from the
// first time on without trying.
func TestOAuthSecretInForm(t *testing.T) {
	issuer := newCounter(t, nil)
	issuer.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		issuer.requests.Add(1)
		if r.FormValue("client_secret") != "canary secret" || r.Header.Get("Authorization") != "" {
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":"invalid_client"}`)
			return
		}
		io.WriteString(w, `{"access_token":"t","expires_in":1}`) // not worth keeping
	})
	far := newCounter(t, status(202))
	target := open(t, oauthConfig(far.URL, issuer.URL))
	for _, want := range []int64{2, 3} {
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if n := issuer.requests.Load(); n > want {
			t.Errorf("%d requests, want at most %d", n, want)
		}
	}
}

// What an issuer refuses speaks about the gateway: records wait.
func TestOAuthFailures(t *testing.T) {
	for _, tt := range []struct {
		name string
		far  http.HandlerFunc
		want uplink.Class
	}{
		{"wrong secret", status(401), uplink.Hold},
		{"unknown scope", status(400), uplink.Hold},
		{"no such place", status(404), uplink.Hold},
		{"too large", status(413), uplink.Hold},
		{"overload", status(429, "Retry-After", "7"), uplink.Retry},
		{"broken", status(503, "Retry-After", "0"), uplink.Retry},
		{"cut", cutOff, uplink.Retry},
		{"a portal's page", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>canary") }, uplink.Hold},
		{"redirect", status(302, "Location", "/"), uplink.Retry},
		{"huge", huge, uplink.Hold},
		{"another kind of token", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"access_token":"canary","token_type":"mac"}`)
		}, uplink.Hold},
		{"a token of two lines", func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `{"access_token":"canary\r\nX-Evil: 1"}`)
		}, uplink.Hold},
		{"echo", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // a cut body hides less
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, r.Header.Get("Authorization"), string(body))
		}, uplink.Hold},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			issuer, far := newCounter(t, tt.far), newCounter(t, status(202))
			c := oauthConfig(far.URL, issuer.URL)
			c.Refused = "dead" // of the target, not of the issuer
			err := open(t, c).Send(t.Context(), sample())
			if uplink.ClassOf(err) != tt.want || !strings.HasPrefix(err.Error(), "token: ") || !asError(err).Away {
				t.Errorf("%v: %v", uplink.ClassOf(err), err)
			}
			if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "Z3c3") {
				t.Errorf("the reason shows a secret: %v", err)
			}
			if far.requests.Load() != 0 {
				t.Error("sent without a token")
			}
		})
	}
}

// keyFile is a service account's, with its public key.
func keyFile(t *testing.T, tokenURI string) (string, *rsa.PublicKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "gw7@plant.iam.gserviceaccount.com", "private_key_id": "k1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": tokenURI,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.json")
	write(t, file, string(text))
	return file, &key.PublicKey
}

// A service account's signed claim becomes an ID token for the function's URL,
// once, whatever year it is here.
func TestIDToken(t *testing.T) {
	cloud := time.Now().UTC().Truncate(time.Second)
	idToken := "h." + base64.RawURLEncoding.EncodeToString([]byte(fmt.Sprintf(`{"iat":%d,"exp":%d}`, cloud.Unix(), cloud.Unix()+3600))) + ".s"
	far := newCounter(t, status(204))
	var key *rsa.PublicKey
	asked := 0
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Date", cloud.Format(http.TimeFormat))
		if got := r.FormValue("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
			t.Errorf("grant_type %q", got)
		}
		claims := verify(t, key, r.FormValue("assertion"))
		if claims.Iss != "gw7@plant.iam.gserviceaccount.com" || claims.Audience != far.URL+"/alarm" ||
			!strings.HasSuffix(claims.Aud, "/token") || claims.Exp != claims.Iat+3600 {
			t.Errorf("claims %+v", claims)
		}
		if time.Unix(claims.Iat, 0).Sub(cloud).Abs() > time.Minute {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"error":"invalid_grant"}`)
			return
		}
		fmt.Fprintf(w, `{"id_token":%q}`, idToken)
	}))
	defer issuer.Close()
	c := kindConfig("gcf", far.URL+"/alarm?x=1")
	c.Format, c.Now = "binary", func() time.Time { return time.Unix(86400, 0) }
	c.ServiceAccount, key = keyFile(t, issuer.URL+"/token")
	target := open(t, c)
	for range 2 {
		if err := target.Send(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		if r, _ := far.got(); r.Header.Get("Authorization") != "Bearer "+idToken || r.Header.Get("Ce-Id") != "gw7/42/0" {
			t.Errorf("headers %v", r.Header)
		}
	}
	if asked != 2 {
		t.Errorf("asked %d times, want once with each clock", asked)
	}
}

type claims struct {
	Iss, Aud string
	Iat, Exp int64
	Audience string `json:"target_audience"`
}

// verify checks a JWT as RFC 7515 says.
func verify(t *testing.T, key *rsa.PublicKey, jwt string) (c claims) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("JWT of %d parts", len(parts))
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			t.Fatal(err)
		}
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw[2]); err != nil {
		t.Error(err)
	}
	if string(raw[0]) != `{"alg":"RS256","typ":"JWT","kid":"k1"}` {
		t.Errorf("header %s", raw[0])
	}
	if err := json.Unmarshal(raw[1], &c); err != nil {
		t.Error(err)
	}
	return c
}
