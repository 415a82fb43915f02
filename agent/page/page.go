package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"strings"
)

//go:embed static
var static embed.FS

// types of what is served, by the end of the name. The system's own list may be
// missing on a gateway, or say something else.
var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// file is one of the page's.
type file struct {
	body []byte
	kind string
	tag  string
}

// Files serves the page: / and what it loads. Everything else is not found. It
// answers with an ETag, and asks to be asked each time: after an update of the
// agent nobody works with half of an old page.
func Files() http.Handler {
	files := map[string]file{}
	names, err := fs.Glob(static, "static/*")
	if err != nil {
		panic(err) // the pattern is right
	}
	for _, name := range names {
		body, err := static.ReadFile(name)
		if err != nil {
			panic(err) // it is in the binary
		}
		sum := sha256.Sum256(body)
		files[strings.TrimPrefix(name, "static")] = file{body, types[name[strings.LastIndex(name, "."):]], `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	files["/"] = files["/index.html"]
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.URL.Path]
		switch {
		case !ok:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "this is only for reading", http.StatusMethodNotAllowed)
		default:
			f.serve(w, r)
		}
	})
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	if strings.Contains(r.Header.Get("If-None-Match"), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.kind)
	if r.Method == http.MethodHead {
		return
	}
	if _, err := w.Write(f.body); err != nil {
		return // the client went away
	}
}
