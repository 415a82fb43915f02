package fleetsync

import (
	"fmt"
	"strings"
	"testing"
)

// A manifest that devices would not read, nor the next publisher, is not written.
func TestManifestHasLimits(t *testing.T) {
	files := map[string][]byte{"fleet.json": []byte("{}")}
	for len(files) < maxLayers {
		files[fmt.Sprintf("apps/app/%d.0.0.json", len(files))] = []byte("{}")
	}
	if _, _, _, err := manifestOfFiles(files, nil); err != nil {
		t.Errorf("%d documents: %v", len(files), err)
	}
	files["apps/app/1.0.1.json"] = []byte("{}")
	if _, _, _, err := manifestOfFiles(files, nil); err == nil || !strings.Contains(err.Error(), "5001 documents, at most 5000: split the fleet") {
		t.Errorf("%d documents: %v", len(files), err)
	}
}
