package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
)

// person answers what people ask of deployments and tries.
type person struct{ tried []admin.TryRequest }

func (*person) Deployments() agent.Deployments {
	return agent.Deployments{Entries: []agent.DeploymentEntry{{App: "overheat", From: "1.0.0", To: "1.1.0"}}, Rollback: []string{"overheat"}}
}

func (*person) RollBack(ctx context.Context, app string) (admin.RolledBack, error) {
	if app != "overheat" {
		return admin.RolledBack{}, fmt.Errorf("no app %q runs here", app)
	}
	return admin.RolledBack{App: app, From: "1.1.0", To: "1.0.0"}, ctx.Err()
}

func (p *person) Try(_ context.Context, r admin.TryRequest) (any, error) {
	p.tried = append(p.tried, r)
	if r.Function == "" {
		return nil, errors.New("which function?")
	}
	return map[string]string{"outcome": "committed"}, nil
}

// page serves both over a listener, as a front door does.
func page(t *testing.T) (*person, string) {
	t.Helper()
	p := &person{}
	srv := httptest.NewServer(admin.WithTry(admin.WithDeployments(http.NotFoundHandler(), p), p))
	t.Cleanup(srv.Close)
	return p, srv.URL
}

func post(t *testing.T, url, body string) (status int, answer map[string]any) {
	t.Helper()
	resp, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer) // a refusal is text
	return resp.StatusCode, answer
}

func TestDeploymentsAreListedAndTakenBack(t *testing.T) {
	_, url := page(t)
	resp, err := http.Get(url + "/v1/deployments")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var d agent.Deployments
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil || len(d.Entries) != 1 || d.Entries[0].To != "1.1.0" || len(d.Rollback) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if status, out := post(t, url+"/v1/deployments/rollback", `{"app":"overheat"}`); status != http.StatusOK || out["to"] != "1.0.0" || out["error"] != nil {
		t.Errorf("%d %v", status, out)
	}
	if status, out := post(t, url+"/v1/deployments/rollback", `{"app":"x"}`); status != http.StatusOK || out["error"] != `no app "x" runs here` {
		t.Errorf("%d %v", status, out)
	}
}

func TestTry(t *testing.T) {
	p, url := page(t)
	status, out := post(t, url+"/v1/try", `{"function":"a/f","event":{"subject":"in","data":{"t":1}},"commit":true}`)
	if status != http.StatusOK || out["outcome"] != "committed" || len(p.tried) != 1 || !p.tried[0].Commit || string(p.tried[0].Event.Data) != `{"t":1}` {
		t.Errorf("%d %v, asked %+v", status, out, p.tried)
	}
	if status, out := post(t, url+"/v1/try", `{"event":{"subject":"in"}}`); status != http.StatusOK || out["error"] != "which function?" {
		t.Errorf("%d %v", status, out)
	}
}

// TestRequestsAreBounded in size, and in what they may say.
func TestRequestsAreBounded(t *testing.T) {
	p, url := page(t)
	for _, tt := range []struct{ route, body string }{
		{"/v1/try", `{"function":"a/f","event":{"subject":"in","data_base64":"` + strings.Repeat("A", 6<<20) + `"}}`},
		{"/v1/try", `{"function":"a/f","comit":true,"event":{}}`},
		{"/v1/try", `not JSON`},
		{"/v1/deployments/rollback", `{"app":"` + strings.Repeat("a", 100<<10) + `"}`},
		{"/v1/deployments/rollback", ``},
	} {
		if status, out := post(t, url+tt.route, tt.body); status != http.StatusBadRequest {
			t.Errorf("%s of %d bytes %.40q gives %d %v", tt.route, len(tt.body), tt.body, status, out)
		}
	}
	if len(p.tried) > 0 {
		t.Errorf("%d requests were tried", len(p.tried))
	}
}
