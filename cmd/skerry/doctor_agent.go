package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent/admin"
)

// checkAgent asks the agent, if it runs, what it cannot do: what does not start
// is known to it alone.
func checkAgent(ctx context.Context, cfg *Config) []finding {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := admin.Status(ctx, cfg.Admin.Socket)
	if err != nil {
		return []finding{{"agent", warning, "none answers on " + cfg.Admin.Socket, "start it with skerry run: then it is told here which functions do not start"}}
	}
	apps := "no app"
	if len(s.Apps) > 0 {
		apps = strings.Join(s.Apps, ", ")
	}
	out := []finding{{"agent", fine, fmt.Sprintf("skerry %s runs since %s: %s", s.Version, since(s.Started), apps), ""}}
	if s.Sync.Error != "" {
		out = append(out, finding{"agent", warning, s.Sync.Error, ""})
	}
	return out
}
