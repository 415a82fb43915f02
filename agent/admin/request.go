package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Bounds of what a client may send, bytes.
const (
	maxRequest = 16 << 20 // with data of an event
	maxAsk     = 64 << 10 // without
)

// read decodes the body of a request, of at most limit bytes; keys that are not known
// are mistakes. What is wrong it answers itself, and gives false.
func read(w http.ResponseWriter, r *http.Request, limit int64, in any) bool {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		http.Error(w, fmt.Sprintf("read the request (JSON of at most %d bytes): %v", limit, err), http.StatusBadRequest)
		return false
	}
	return true
}
