package fleetsync

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/skerry-edge/skerry/sync/trust"
)

// renewWithin is how close to its end a signature is renewed by a publish.
const renewWithin = 183 * 24 * time.Hour

// sign makes the files to be. What expires soon is renewed, as far as its keys are here.
func (s *pushing) sign(ctx context.Context) error {
	now := s.access.now()
	next, err := s.signedAgain(ctx, now)
	if err != nil {
		return err
	}
	s.next = next
	if file, at := next.Expires(); at.Before(now.Add(renewWithin)) {
		s.plan.warnings = append(s.plan.warnings, fmt.Sprintf("the signature of %s ends on %s, and with it all updates: publish again with its keys before", file, at.Format(time.DateOnly)))
	}
	return nil
}

func (s *pushing) signedAgain(ctx context.Context, now time.Time) (*trust.Repository, error) {
	next, err := trust.Load(ctx, signedFiles(s.signed.Files()), s.keys.root, trust.State{}, now)
	if err != nil {
		return nil, err
	}
	if s.plan.rekey != nil {
		if err := s.plan.rekey(next); err != nil {
			return nil, err
		}
	}
	for file := range s.plan.base {
		if _, there := s.plan.docs[file]; !there {
			next.Delete(file)
		}
	}
	for file, data := range s.plan.docs {
		if string(s.plan.base[file]) == string(data) {
			continue
		}
		if err := next.Put(file, data); err != nil {
			return nil, err
		}
	}
	ring, err := s.ring()
	if err != nil {
		return nil, err
	}
	renewable := slices.DeleteFunc(slices.Clone(trust.Roles), func(role trust.Role) bool { return next.CanSign(ring, role) != nil })
	if len(renewable) > 0 {
		next.Extend(now.Add(renewWithin), renewable...)
	}
	return next, next.Sign(ring, now)
}

func (r *FleetRepo) ring() (*trust.Keyring, error) {
	return trust.OpenKeyring(r.keys.dir, r.access.Passphrase)
}

// signedFiles are a repository's files in memory.
type signedFiles map[string][]byte

// File is as of trust.Files.
func (f signedFiles) File(_ context.Context, name string, limit int64) ([]byte, error) {
	data, there := f[name]
	switch {
	case !there:
		return nil, fmt.Errorf("%s: %w", name, trust.ErrAbsent)
	case int64(len(data)) > limit:
		return nil, fmt.Errorf("%s: %w", name, trust.ErrTooLarge)
	}
	return data, nil
}
