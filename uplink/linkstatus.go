package uplink

import (
	"maps"
	"slices"

	"github.com/skerry-edge/skerry/agent"
)

// Name is what targets call the link.
func (m *Meter) Name() string { return m.opts.Name }

// Status is what `skerry uplink` shows of the link.
func (m *Meter) Status() agent.LinkStatus {
	m.look(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn()
	t := &m.totals
	s := agent.LinkStatus{
		Name: m.opts.Name,
		Day:  t.Day.account(m.opts.Day), Month: t.Month.account(m.opts.Month),
		Yesterday: t.Yesterday.account(0), LastMonth: t.LastMonth.account(0),
		Sent: t.Sent, Received: t.Received,
		Flying: m.guess.of(m.flying),
		Rate:   m.opts.Rate, Reserve: m.opts.Reserve,
		Metered: m.opts.Metered, Counts: m.metered, Changes: m.changes(),
	}
	for _, name := range slices.Sorted(maps.Keys(t.Functions)) {
		s.Functions = append(s.Functions, agent.FunctionAccount{
			Name: name, Account: agent.Account{Used: t.Functions[name].Bytes, Limit: m.opts.Limit(name)},
		})
	}
	if !t.Unsure.IsZero() {
		s.Note = "the clock is not known to be right: until it is, a day begins when the agent has run for 24 hours"
		if len(m.windows) > 0 {
			s.Note += ", and the limits count all the time"
		}
	}
	return s
}

func (p *period) account(limit int64) agent.Account {
	return agent.Account{Used: p.Used.Bytes, Limit: limit, Sent: p.Sent, Received: p.Received}
}
