package testbed

import (
	"os"
	"path/filepath"
	"testing"
	"text/template"
	"time"
)

// Serverless is the Serverless Framework with its plugin serverless-offline: a
// Lambda API in front of functions in Node.js.
type Serverless struct {
	*Proc
	Endpoint string // of Lambda, "http://127.0.0.1:port"
	Prefix   string // of the names of functions: "plant-dev-"
}

// Versions of the packages, as .ci/deps.sh installs them.
const serverlessFolder = "serverless-offline-13.10.1"

var serverlessConfig = template.Must(template.New("").Parse(`service: plant
frameworkVersion: '3'
provider: {name: aws, runtime: nodejs20.x}
plugins: [serverless-offline]
custom:
  serverless-offline: {host: 127.0.0.1, httpPort: {{.HTTP}}, lambdaPort: {{.Lambda}}}
functions:
{{range .Functions}}  {{.}}: {handler: main.{{.}}}
{{end}}`))

// StartServerless serves the exports of a CommonJS file until the test ends.
func StartServerless(t testing.TB, code string, functions ...string) *Serverless {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "skerry-peers", serverlessFolder, "node_modules")
	command := filepath.Join(modules, "serverless", "bin", "serverless.js")
	if _, err := os.Stat(command); err != nil {
		t.Fatalf("%s of npm is missing; install it with: bash .ci/deps.sh", serverlessFolder)
	}
	dir := t.TempDir()
	port := FreePort(t)
	file, err := os.Create(filepath.Join(dir, "serverless.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := serverlessConfig.Execute(file, map[string]any{"HTTP": FreePort(t), "Lambda": port, "Functions": functions}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.js"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	s := &Serverless{Endpoint: "http://" + Addr(port), Prefix: "plant-dev-"}
	s.Proc = Start(t, "apt-get install nodejs npm", func() error { return nil }, "env", "-C", dir, "HOME="+dir,
		"SLS_TELEMETRY_DISABLED=1", "SLS_NOTIFICATIONS_MODE=off", "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y",
		"node", command, "offline", "start")
	Eventually(t, 2*time.Minute, "serverless-offline listens", func() error { // it reads 600 packages first
		select {
		case <-s.Done():
			t.Fatalf("serverless-offline ended:\n%s", s.Output())
		default:
		}
		return Listening(Addr(port))()
	})
	return s
}
