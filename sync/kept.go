package fleetsync

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/skerry-edge/skerry/agent"
)

// Kept is what the cache holds of the fleet for the next start, JSON each, for people
// who look for a fault: the deployment with the documents of its apps, and the history.
// What was never kept is left out.
func Kept(cache Cache) (map[string]json.RawMessage, error) {
	kept := map[string]json.RawMessage{}
	for _, name := range []string{pinName, diaryPin} {
		data, err := cache.Pinned(name)
		switch {
		case errors.Is(err, agent.ErrNotFound):
		case err != nil:
			return kept, fmt.Errorf("read what is kept of the fleet: %w", err)
		case !json.Valid(data):
			return kept, fmt.Errorf("what is kept as %s is no JSON", name)
		default:
			kept[name] = data
		}
	}
	return kept, nil
}
