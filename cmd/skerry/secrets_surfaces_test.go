package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// whereVisible is where a function's error is told.
var whereVisible = []string{
	"status -o json", "logs --level debug", "logs --level debug -o json", "deadletter list -o json", "top --once --every 100ms -o json",
	"what went up", "the agent's own log", "the data directory",
	"page GET v1/status", "page GET v1/logs?level=DEBUG", "page POST v1/deadletters/list", "page POST v1/try",
	"try: fails", "bundle status.json", "bundle logs.jsonl", "bundle deadletters.json", "bundle at rest deadletters.json",
}

// tellPage asks the page everything, as one who is let in, and as a stranger.
func tellPage(t *testing.T, r *rig, told map[string]string) {
	t.Helper()
	at, me := r.status().Page, "Authorization: Bearer "+pageToken
	for _, path := range []string{
		"v1/status", "v1/health", "v1/history", "v1/deployments", "v1/support", "v1/logs?level=DEBUG", "metrics", "readyz", "healthz", "", "index.html", "v1/none",
	} {
		resp, text := web(t, "GET", at+path, "", me)
		told["page GET "+path] = text + strings.Join(resp.Header.Values("Set-Cookie"), "") + resp.Status + strings.Repeat(" ", 20)
	}
	for _, ask := range [][2]string{
		{"v1/deadletters/list", "{}"},
		{"v1/uplink/status", "{}"},
		{"v1/uplink/why", "{}"},
		{"v1/uplink/waiting", `{"target":"http-hold"}`},
		{"v1/sync", "{}"},
		{"v1/deployments/rollback", `{"app":"tell"}`},
		{"v1/deployments/rollback", `{"app":"none"}`},
		{"v1/try", `{"function":"tell/tell","event":{"subject":"fail","data":{}}}`},
		{"v1/try", `{"function":"tell/none","event":{"subject":"fail"}}`},
		{"v1/try", `{"nonsense`},
		{"v1/deadletters/redrive", `{"ids":[999999]}`},
	} {
		_, text := web(t, "POST", at+ask[0], ask[1], me, "Content-Type: application/json", "Origin: "+strings.TrimSuffix(at, "/"))
		told["page POST "+ask[0]] += text + strings.Repeat(" ", 20)
	}
	for name, headers := range map[string][]string{"nobody": nil, "wrong": {"Authorization: Bearer " + canary + "not-the-token"}} {
		_, text := web(t, "GET", at+"v1/status", "", headers...)
		told["page for "+name] = text + strings.Repeat(" ", 20)
	}
	_, text := web(t, "POST", at+"login", `{"token":"`+canary+`not-the-token-either"}`, "Content-Type: application/json")
	told["page: a wrong login"] = text + strings.Repeat(" ", 20)
}

// tellTries has commands try, look over and fail.
func tellTries(t *testing.T, r *rig, told map[string]string) {
	t.Helper()
	run := func(args ...string) string {
		out, _ := exec.Command(os.Args[0], args...).CombinedOutput() // that it fails is the point
		return string(out)
	}
	for name, topic := range map[string]string{"fails": "fail", "asks": "ask"} {
		told["try: "+name] = run("invoke", "--agent", "tell/tell", "--topic", topic, "-d", "{}", "-o", "json", "--socket", r.socket) +
			run("invoke", "--agent", "tell/tell", "--topic", topic, "-d", "{}", "--http", "--socket", r.socket)
	}
	told["doctor"] = run("doctor", "-c", r.path("skerry.yaml")) + run("doctor", "-o", "json", "--offline", "-c", r.path("skerry.yaml"))
	told["logs of nobody"] = run("logs", "nobody", "--socket", r.socket)
	told["rollback"] = run("deployments", "rollback", "tell", "--socket", r.socket)
	told["uplink of nobody"] = run("uplink", "why", "nobody", "--socket", r.socket)
	told["completion"] = run("__complete", "deadletter", "show", "--socket", r.socket, "") + run("__complete", "uplink", "why", "--socket", r.socket, "")
}

// tellBundle unpacks the support bundle, with the data of dead letters too.
func tellBundle(t *testing.T, r *rig, told map[string]string, name string) {
	t.Helper()
	files, said := bundleOf(t, r.path("skerry.yaml"), "--with-data")
	told[name] = said
	for file, text := range files {
		told[name+" "+file] = text + strings.Repeat(" ", 20)
	}
}

// TestTheSearchFindsWhatIsPlanted, in every form that it looks for.
func TestTheSearchFindsWhatIsPlanted(t *testing.T) {
	for _, text := range []string{
		canary + "a", `{"x":"` + canary + `a"}`, "https://u:" + canary + "a@h/", strings.ToUpper(canary + "a"),
		"Basic Z3c3OmM0bjRyeS1icm9rZXI=", "YzRuNHJ5LWJyb2tlcg==", // gw7:c4n4ry-broker, c4n4ry-broker
		"eGM0bjRyeS1icm9rZXI=", // xc4n4ry-broker
	} {
		if len(planted(text)) != 1 {
			t.Errorf("%s: found %q", text, planted(text))
		}
	}
	if found := planted("canary, c4n4r, gw7: [secret pager]"); len(found) > 0 {
		t.Errorf("found %q where nothing is", found)
	}
	b := &bundle{redact: newRedactor(nil, "", "")}
	b.add("logs.jsonl", "", []byte("I was given "+canary+"pager")) // which nobody told the redactor of
	if len(planted(string(b.Parts[0].data))) != 1 {
		t.Errorf("not found in a bundle: %s", b.Parts[0].data)
	}
}
