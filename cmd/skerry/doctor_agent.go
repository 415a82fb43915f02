package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// askAgent asks the agent how it is.
func askAgent(ctx context.Context, cfg *Config) (agent.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return admin.Status(ctx, cfg.Admin.Socket)
}

// agentFindings are what the agent, if it runs, cannot do: what does not start is known
// to it alone. What it says of a registry that was found away already is left out.
func agentFindings(cfg *Config, s *agent.Status, err error, registryAway bool) []finding {
	if err != nil {
		return []finding{{"agent", warning, "none answers on " + cfg.Admin.Socket, "start it with skerry run: then it is told here which functions do not start"}}
	}
	apps := "no app"
	if len(s.Apps) > 0 {
		apps = strings.Join(s.Apps, ", ")
	}
	out := []finding{{"agent", fine, fmt.Sprintf("skerry %s has run for %s: %s", s.Version, since(s.Started), apps), ""}}
	if s.Store.Error != "" {
		out = append(out, finding{
			"agent", failing, "nothing is kept now: " + shown(spaced(s.Store.Error)) + "; events wait with their sources",
			"let what waits go (skerry uplink why), drop some of it (skerry uplink drop), or raise limits.disk; if the disk itself fails, replace it",
		})
	}
	for i := range s.Functions {
		if f := &s.Functions[i]; f.Breaker != nil {
			out = append(out, finding{
				"agent", warning, f.Name + " is stopped, it keeps failing: " + shown(spaced(f.Breaker.Cause)),
				"skerry logs " + f.Name + "; mend and publish it, or see what it depends on",
			})
		}
	}
	told := s.Sync.Error
	if registryAway {
		told = strings.Trim(strings.Replace(told, fleetsync.ReportOf("", s.Sync).Error, "", 1), "; ")
	}
	if told != "" {
		out = append(out, finding{"agent", warning, told, ""})
	}
	return out
}

// filtersOf are what the agent's brokers are subscribed to, by their names.
func filtersOf(s *agent.Status) map[string][]string {
	filters := map[string][]string{}
	for i := range s.Sources {
		filters[s.Sources[i].Name] = s.Sources[i].Filters
	}
	return filters
}
