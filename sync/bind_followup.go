package fleetsync

import (
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/skerry-edge/skerry/agent"
)

// way is what a document says of one; what it does not say is as in base.
func way(base agent.Way, priority *int, ttl Duration, latest *bool, over string) agent.Way {
	base.Priority = uint8(or(priority, int(base.Priority)))
	base.TTL = cmp.Or(time.Duration(ttl), base.TTL)
	if latest != nil {
		base.Latest = *latest
	}
	if over != "" {
		base.Shed = over == overDrop
	}
	return base
}

func (f *AppFunction) ways() (out []agent.TargetWay) {
	for _, said := range f.Followups {
		w := way(agent.DefaultWay, said.Priority, said.TTL, said.KeepLatest, said.Over)
		out = append(out, agent.TargetWay{Target: said.Target, Way: w})
	}
	return out
}

// way is that of a Then of a function that was bound; nil: it says nothing of its own.
func (b *binding) way(function string, t *AppThen) *agent.Way {
	target, central := strings.CutPrefix(t.Invoke, "central/")
	if !central || t.Priority == nil && t.TTL == 0 && t.KeepLatest == nil && t.Over == "" {
		return nil
	}
	base := agent.DefaultWay
	if i := slices.IndexFunc(b.out.Functions, func(f agent.Function) bool { return f.Name == function }); i >= 0 {
		base = b.out.Functions[i].Way(target)
	}
	own := way(base, t.Priority, t.TTL, t.KeepLatest, t.Over)
	return &own
}

var logLevels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func (l *AppLog) rule() agent.LogRule {
	if l == nil {
		return agent.LogRule{}
	}
	return agent.LogRule{Stated: l.Level != "", Level: logLevels[l.Level], Off: l.Level == logOff, Sample: or(l.Sample, 0)}
}
