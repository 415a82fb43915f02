package page_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/skerry-edge/skerry/agent/page"
)

func fetch(method, target, tag string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	page.Files().ServeHTTP(w, r)
	return w
}

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		path, kind, has string
	}{
		{"/", "text/html; charset=utf-8", "<!doctype html>"},
		{"/index.html", "text/html; charset=utf-8", "<!doctype html>"},
		{"/style.css", "text/css; charset=utf-8", ":root"},
		{"/app.js", "text/javascript; charset=utf-8", "import"},
		{"/icon.svg", "image/svg+xml", "<svg"},
	} {
		w := fetch(http.MethodGet, tt.path, "")
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != tt.kind || !strings.Contains(w.Body.String(), tt.has) || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", tt.path, w.Code, h)
		}
		if again := fetch(http.MethodGet, tt.path, h.Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%s with its tag: %d, %d bytes", tt.path, again.Code, again.Body.Len())
		}
		if head := fetch(http.MethodHead, tt.path, ""); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("ETag") != h.Get("ETag") {
			t.Errorf("HEAD %s: %d, %d bytes", tt.path, head.Code, head.Body.Len())
		}
	}
	for _, p := range []string{"/nope.js", "/static/app.js", "/../page.go", "/static", "//"} {
		if w := fetch(http.MethodGet, p, ""); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", p, w.Code)
		}
	}
	if w := fetch(http.MethodPost, "/", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST /: %d", w.Code)
	}
}

// The page is small, comes from nowhere else, and needs no exception from its policy.
func TestPageStandsAlone(t *testing.T) {
	files := os.DirFS("static")
	names, err := fs.Glob(files, "*")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	inline := regexp.MustCompile(`(?i)<style|<script>|\sstyle=|\son[a-z]+=|javascript:`)
	elsewhere := regexp.MustCompile(`(?i)(src|href|import|url)[ =("'(]*(https?:)?//`)
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
	total := 0
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(body)
		if path.Ext(name) == ".html" && inline.Match(body) {
			t.Errorf("%s has something inline: %s", name, inline.Find(body))
		}
		if m := elsewhere.Find(body); m != nil {
			t.Errorf("%s asks another host: %s", name, m)
		}
		if m := unsafe.Find(body); m != nil {
			t.Errorf("%s makes markup of text: %s", name, m)
		}
		if path.Ext(name) == ".js" && !bytes.HasPrefix(body, []byte("// ")) {
			t.Errorf("%s does not begin with what it is for", name)
		}
		if fetch(http.MethodGet, "/"+name, "").Header().Get("Content-Type") == "" {
			t.Errorf("%s has no type", name)
		}
	}
	if total >= 150_000 {
		t.Errorf("the page has %d bytes, at most 150,000", total)
	}
	t.Logf("%d files, %d bytes", len(names), total)
}
