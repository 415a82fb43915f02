package uplink

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// In package uplink: the pause between two runs of a command is its own business.

// A request that AWS refuses because credentials have expired is signed again
// at once with new ones.
func TestExpiredCredentialsAreReplaced(t *testing.T) {
	var keys []string
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := keyOf(r.Header)
		if keys = append(keys, key); key == "AK1" {
			w.WriteHeader(http.StatusBadRequest) // as services of the JSON 1.0 protocol do
			io.WriteString(w, `{"__type":"com.amazon.coral.service#ExpiredTokenException"}`)
		}
	}))
	defer far.Close()
	argv, _ := program(t, answers("2126-11-21T13:00:00Z"))
	to, err := Open(TargetConfig{
		Kind: "stepfunctions", Endpoint: far.URL, CredentialCommand: argv,
		StateMachine: "arn:aws:states:us-west-1:123456789012:stateMachine:plant",
	})
	if err != nil {
		t.Fatal(err)
	}
	command := to.(*httpTarget).auth.(*awsAuth).creds.command
	if _, err := command.get(t.Context(), noon); err != nil {
		t.Fatal(err)
	}
	if err := to.Send(t.Context(), agent.Record{Event: *event("1")}); ClassOf(err) != Retry {
		t.Errorf("the program ran just now: %v", err)
	}
	command.due(time.Time{}) // as if AWS had said nothing yet
	command.age(time.Hour)
	if err := to.Send(t.Context(), agent.Record{Event: *event("1")}); err != nil {
		t.Error(err)
	}
	if want := []string{"AK1", "AK1", "AK2"}; !slices.Equal(keys, want) {
		t.Errorf("signed with %v, want %v", keys, want)
	}
}

// What a far side repeats of our secrets is not shown, however they came here.
func TestRepeatedCredentialsAreHidden(t *testing.T) {
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, "canonical: canary-secret "+r.Header.Get("X-Amz-Security-Token"))
	}))
	defer far.Close()
	home := noAWS(t)
	write(t, home, "credentials", "[default]\naws_access_key_id=AK\naws_secret_access_key=canary-secret\naws_session_token=canary-token\n")
	const answer = `{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"canary-secret","SessionToken":"canary-token"}`
	write(t, home, "process", "[default]\ncredential_process = echo '"+answer+"'\n")
	for name, c := range map[string]TargetConfig{
		"configuration": {AccessKeyID: "AK", SecretAccessKey: "canary-secret", SessionToken: "canary-token"},
		"command":       {CredentialCommand: []string{"echo", answer}},
		"profile":       {},
		"process":       {CredentialsFile: filepath.Join(home, ".aws", "process")},
		"environment":   {},
	} {
		if name == "environment" {
			t.Setenv("AWS_ACCESS_KEY_ID", "AK")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
			t.Setenv("AWS_SESSION_TOKEN", "canary-token")
		}
		c.Kind, c.Function, c.Region, c.Endpoint = "lambda", "plant", "us-west-1", far.URL
		to, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		err = to.Send(t.Context(), agent.Record{Event: *event("1")})
		if ClassOf(err) != Hold || !strings.Contains(err.Error(), "canonical") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
