package uplink

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// In package uplink: what a file means shows only in signatures.

// noAWS hides what this machine's user has.
func noAWS(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	} {
		t.Setenv(name, "")
	}
	return home
}

// write makes ~/.aws/name.
func write(t *testing.T, home, name, text string) {
	t.Helper()
	dir := filepath.Join(home, ".aws")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

const usual = `# a comment
[default]
aws_access_key_id = AKD
aws_secret_access_key = a/b+c=d
[plant]
AWS_ACCESS_KEY_ID=AKP
aws_secret_access_key=SKP
aws_session_token=STP
s3 =
  aws_access_key_id = nested
[half]
aws_access_key_id = AKH
[role]
role_arn = arn:aws:iam::123456789012:role/x
`

// Where several ways lead to credentials, the nearest to this target wins.
func TestCredentialChain(t *testing.T) {
	for _, tt := range []struct {
		name        string
		cfg         TargetConfig
		env         []string // pairs
		config      string   // ~/.aws/config
		want        credentials
		wrong       string // part of the sentence of get
		wrongAtOpen string
	}{
		{name: "default profile", want: credentials{keyID: "AKD", secret: "a/b+c=d"}},
		{name: "named profile", cfg: TargetConfig{Profile: "plant"}, want: credentials{keyID: "AKP", secret: "SKP", session: "STP"}},
		{name: "profile of the environment", env: []string{"AWS_PROFILE", "plant"}, want: credentials{keyID: "AKP", secret: "SKP", session: "STP"}},
		{
			name: "environment", env: []string{"AWS_ACCESS_KEY_ID", "AKE", "AWS_SECRET_ACCESS_KEY", "SKE", "AWS_SESSION_TOKEN", "STE"},
			want: credentials{keyID: "AKE", secret: "SKE", session: "STE"},
		},
		{
			name: "profile before environment", cfg: TargetConfig{Profile: "plant"}, env: []string{"AWS_ACCESS_KEY_ID", "AKE", "AWS_SECRET_ACCESS_KEY", "SKE"},
			want: credentials{keyID: "AKP", secret: "SKP", session: "STP"},
		},
		{
			name: "configuration before environment", cfg: TargetConfig{AccessKeyID: "AKC", SecretAccessKey: "SKC"},
			env: []string{"AWS_ACCESS_KEY_ID", "AKE", "AWS_SECRET_ACCESS_KEY", "SKE"}, want: credentials{keyID: "AKC", secret: "SKC"},
		},
		{
			name: "command", cfg: TargetConfig{CredentialCommand: []string{"echo", `{"Version":1,"AccessKeyId":"AKX","SecretAccessKey":"SKX"}`}},
			want: credentials{keyID: "AKX", secret: "SKX"},
		},
		{
			name: "profile of the config file", cfg: TargetConfig{Profile: "far"}, config: "[profile far]\naws_access_key_id: AKF\naws_secret_access_key: SKF\n",
			want: credentials{keyID: "AKF", secret: "SKF"},
		},
		{
			name: "credentials before config", cfg: TargetConfig{Profile: "plant"}, config: "[profile plant]\naws_access_key_id=AKF\naws_secret_access_key=SKF\n",
			want: credentials{keyID: "AKP", secret: "SKP", session: "STP"},
		},
		{
			name: "process of the config file", cfg: TargetConfig{Profile: "run"},
			config: "[profile run]\ncredential_process = /bin/echo '{\"Version\":1,\"AccessKeyId\":\"AKR\",' \"\\\"SecretAccessKey\\\":\\\"SK R\\\"}\"\n",
			want:   credentials{keyID: "AKR", secret: "SK R"},
		},
		{name: "no such profile", cfg: TargetConfig{Profile: "none"}, wrong: "stands in none of AWS's files"},
		{name: "half a profile", cfg: TargetConfig{Profile: "half"}, wrong: "no aws_secret_access_key"},
		{name: "a role", cfg: TargetConfig{Profile: "role"}, wrong: "export-credentials"},
		{name: "senseless process", cfg: TargetConfig{Profile: "bad"}, config: "[profile bad]\ncredential_process = x 'canary\n", wrong: "has no partner"},
		{name: "no such file", cfg: TargetConfig{CredentialsFile: "/nowhere/aws"}, wrong: "no such file"},
		{name: "two ways", cfg: TargetConfig{Profile: "plant", AccessKeyID: "AK"}, wrongAtOpen: "exclude each other"},
		{name: "half a pair", cfg: TargetConfig{AccessKeyID: "AK"}, wrongAtOpen: "secret_access_key is missing"},
		{name: "other half", cfg: TargetConfig{SecretAccessKey: "canary"}, wrongAtOpen: "access_key_id is missing"},
		{name: "no header", cfg: TargetConfig{AccessKeyID: "a\ncanary", SecretAccessKey: "b"}, wrongAtOpen: "header cannot carry"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := noAWS(t)
			write(t, home, "credentials", usual)
			write(t, home, "config", tt.config)
			for pair := range slices.Chunk(tt.env, 2) {
				t.Setenv(pair[0], pair[1])
			}
			chain, err := newCredentialChain(&tt.cfg)
			if complains(t, err, tt.wrongAtOpen) {
				return
			}
			cr, err := chain.get(t.Context(), noon)
			if !complains(t, err, tt.wrong) && cr != tt.want {
				t.Errorf("got %+v, want %+v", cr, tt.want)
			}
		})
	}
}

// complains checks a sentence; it tells whether there is one.
func complains(t *testing.T, err error, want string) bool {
	t.Helper()
	switch {
	case err == nil && want == "":
		return false
	case err == nil || want == "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary"):
		t.Fatalf("%v, want %q", err, want)
	}
	return true
}

// Without any credentials there is a sentence at once.
func TestNoCredentialsAtAll(t *testing.T) {
	noAWS(t)
	_, err := newCredentialChain(&TargetConfig{})
	complains(t, err, "credentials are missing")
}

// A file that is replaced counts without a restart.
func TestCredentialFilesAreReadAnew(t *testing.T) {
	home := noAWS(t)
	write(t, home, "credentials", usual)
	write(t, home, "secret", "one\n")
	shared, err := newCredentialChain(&TargetConfig{CredentialsFile: filepath.Join(home, ".aws", "credentials"), Profile: "plant"})
	if err != nil {
		t.Fatal(err)
	}
	own, err := newCredentialChain(&TargetConfig{AccessKeyID: "AK", SecretAccessKeyFile: filepath.Join(home, ".aws", "secret")})
	if err != nil {
		t.Fatal(err)
	}
	secrets := func() string {
		a, err := shared.get(t.Context(), noon)
		if err != nil {
			t.Fatal(err)
		}
		b, err := own.get(t.Context(), noon)
		if err != nil {
			t.Fatal(err)
		}
		return a.secret + " " + b.secret
	}
	if got := secrets(); got != "SKP one" {
		t.Error(got)
	}
	write(t, home, "credentials", strings.ReplaceAll(usual, "SKP", "SKnew"))
	write(t, home, "secret", "another\n")
	if got := secrets(); got != "SKnew another" {
		t.Error(got)
	}
}

// AWS's own SDK finds the same in the same files.
func TestProfilesAsBotocoreReadsThem(t *testing.T) {
	const ask = "import botocore.session as s; c = s.Session().get_credentials(); f = c and c.get_frozen_credentials(); " +
		"print(f and '|'.join([f.access_key, f.secret_key, f.token or '']))"
	for name, files := range map[string][2]string{
		"usual":           {usual, ""},
		"spaces":          {"[ plant ]\n aws_access_key_id = nested\n", "[profile plant]\naws_access_key_id  =  AK 1\naws_secret_access_key = S = K ; # x\n"},
		"semicolon":       {"; x\n[plant]\r\naws_access_key_id = AK\r\naws_secret_access_key = SK\r\n", ""},
		"quoted":          {"", "[profile \"plant\"]\naws_access_key_id = AK\naws_secret_access_key = SK\n"},
		"process":         {"", "[profile plant]\ncredential_process = /bin/echo '{\"Version\": 1, \"AccessKeyId\": \"A\\\\\",' '\"SecretAccessKey\":'\\\"a\\ b\\\"}\n"},
		"keys of another": {"[plant]\naws_access_key_id = AK\naws_secret_access_key = SK\n", "[profile plant]\naws_session_token = T\n"},
	} {
		t.Run(name, func(t *testing.T) {
			home := noAWS(t)
			write(t, home, "credentials", files[0])
			write(t, home, "config", files[1])
			python := exec.Command("python3", "-c", ask)
			python.Env = append(os.Environ(), "AWS_PROFILE=plant", "AWS_EC2_METADATA_DISABLED=true")
			for _, unset := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"} {
				python.Env = slices.DeleteFunc(python.Env, func(s string) bool { return strings.HasPrefix(s, unset+"=") })
			}
			theirs, err := python.CombinedOutput()
			if err != nil {
				t.Fatalf("botocore, which comes with moto (pip install 'moto[server]'): %v\n%s", err, theirs)
			}
			ours := "None"
			chain, err := newCredentialChain(&TargetConfig{Profile: "plant"})
			if err != nil {
				t.Fatal(err)
			}
			if cr, err := chain.get(t.Context(), time.Now()); err == nil {
				ours = cr.keyID + "|" + cr.secret + "|" + cr.session
			}
			if got := strings.TrimSpace(string(theirs)); got != ours {
				t.Errorf("botocore reads %q, we %q", got, ours)
			}
		})
	}
}

func TestSplitCommand(t *testing.T) {
	for line, want := range map[string][]string{
		`/bin/a b  c`:       {"/bin/a", "b", "c"},
		`a "b c" 'd "e'`:    {"a", "b c", `d "e`},
		`a b\ c "d\"e" \'x`: {"a", "b c", `d"e`, "'x"},
		`a "\n" '\n' ""`:    {"a", `\n`, `\n`, ""},
		`a"b"'c'`:           {"abc"},
		`a $HOME;rm "$(x)"`: {"a", "$HOME;rm", "$(x)"},
	} {
		if got, err := splitCommand(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", line, got, err, want)
		}
	}
	for _, line := range []string{"", "  ", `a "b`, `a 'b`, `a \`} {
		if got, err := splitCommand(line); err == nil {
			t.Errorf("%s: %q", line, got)
		}
	}
}

// What is split and quoted again splits the same.
func FuzzSplitCommand(f *testing.F) {
	f.Add(`a "b c" 'd' \e`)
	f.Add("a\t'\n'")
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitCommand(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		if again, err := splitCommand(strings.Join(quoted, " ")); err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, then %q, %v", line, words, again, err)
		}
	})
}

func FuzzProfileSection(f *testing.F) {
	f.Add(usual, "plant")
	f.Add("[\n[]=\n=x\n:", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		section, ok := profileSection(text, name)
		if !ok && len(section) > 0 {
			t.Errorf("%q has no section %q, yet %v", text, name, section)
		}
	})
}
