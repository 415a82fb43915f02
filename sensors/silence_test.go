package sensors

import (
	"testing"
	"time"
)

func TestSilence(t *testing.T) {
	start := time.Now()
	for _, tt := range []struct {
		name     string
		every    time.Duration
		messages int
		gap      time.Duration
		told     bool
	}{
		{"busy, then silent", time.Second, 100, 11 * time.Minute, true},
		{"busy, and a short pause", time.Second, 100, 9 * time.Minute, false},
		{"an hourly message", time.Hour, 30, 3 * time.Hour, false},
		{"an hourly message that stays away", time.Hour, 30, 30 * time.Hour, true},
		{"too few to tell", time.Second, 10, time.Hour, false},
		{"never anything", 0, 0, time.Hour, false},
	} {
		var s silence
		now := start
		for range tt.messages {
			now = now.Add(tt.every)
			s.heard(now)
		}
		if note := s.note(now.Add(tt.gap)); (note != "") != tt.told {
			t.Errorf("%s: %q", tt.name, note)
		}
	}
}
