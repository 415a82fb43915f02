package uplink

import (
	"context"
	"net"
)

// Tend has a keeper look once.
func (k *Keeper) Tend(ctx context.Context) (used int64, err error) { return k.tend(ctx, false) }

// Resolver asks name servers over the link.
func (m *Meter) Resolver() *net.Resolver { return m.resolver() }

// Save keeps the totals of a link now.
func (m *Meter) Save(ctx context.Context) error { return m.save(ctx, 0) }

// Count is what went over the wire.
func (m *Meter) Count(up, down int64) { m.count(up, down) }
