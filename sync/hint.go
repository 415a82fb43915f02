package fleetsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// Hint says that there is something new. It is a retained MQTT message that nobody
// signs: a device that hears one looks at the registry sooner, and that is all.
type Hint struct {
	Revision int64  `json:"revision"`
	Digest   string `json:"digest,omitempty"` // of the fleet's artefact, "sha256:…"
}

const (
	maxHint     = 200 // bytes
	topicPrefix = "skerry/"
)

// fleetNames are the names that are a level of a topic.
var fleetNames = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,64}$`)

// CheckTopicName refuses the name of a fleet or a device that cannot be a level of
// its topics.
func CheckTopicName(name string) error {
	if !fleetNames.MatchString(name) {
		return fmt.Errorf("is 1 to 64 letters, digits, dots, dashes and underscores, not %q", name)
	}
	return nil
}

// HintTopic is where a fleet's hints are.
func HintTopic(fleet string) string { return topicPrefix + fleet + "/hint" }

// Encode gives a hint as it is sent: JSON of less than 200 bytes.
func (h Hint) Encode() []byte { return mustJSON(h) }

// ParseHint reads what somebody sent. Unknown keys are left out.
func ParseHint(data []byte) (h Hint, err error) {
	if len(data) > maxHint {
		return h, fmt.Errorf("a hint has at most %d bytes, not %d", maxHint, len(data))
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return Hint{}, errors.New("a hint is JSON, such as {\"revision\":43}")
	}
	if h.Revision < 1 || h.Digest != "" && !digestForm.MatchString(h.Digest) {
		return Hint{}, errors.New("a hint has a revision, and a digest as sha256:…")
	}
	return h, nil
}
