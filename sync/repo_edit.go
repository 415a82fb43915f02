package fleetsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// Edit plans a fleet document that change makes of the published one. Its
// revision is counted, its assignments keep their order.
func (r *FleetRepo) Edit(change func(*Fleet) error) (*Plan, error) {
	p := r.plan()
	return p, r.Assign(p, change)
}

// Assign has a plan publish what change makes of the published fleet document, in
// place of what the plan made of it.
func (r *FleetRepo) Assign(p *Plan, change func(*Fleet) error) error {
	if r.unread != nil {
		return r.unread
	}
	p.fleet, p.fleetFile = r.Fleet(), ""
	if data, there := r.docs[fleetFile]; there {
		p.docs[fleetFile] = data
	}
	if err := change(p.fleet); err != nil {
		return err
	}
	if err := p.edited(r); err != nil {
		return err
	}
	if p.app != nil {
		p.unassigned = !p.fleet.assigns(p.app.version())
	}
	p.prune()
	return p.complete()
}

// edited checks the fleet document of the plan as if it were in a file.
func (p *Plan) edited(r *FleetRepo) error {
	live := r.Fleet()
	p.fleet.APIVersion, p.fleet.Kind, p.fleet.Metadata = apiVersion, live.Kind, live.Metadata
	before, err := json.Marshal(live)
	if err != nil {
		return err
	}
	after, err := json.Marshal(p.fleet)
	if err != nil {
		return err
	}
	if string(before) == string(after) {
		return nil
	}
	if len(p.fleet.Assignments) == 0 {
		return errors.New("the fleet assigns nothing: publish an app first, with skerry publish app.yaml")
	}
	if p.fleet, err = ParseFleet(fleetFile, after); err != nil {
		return err
	}
	p.warnings = append(p.warnings, p.fleet.Warnings()...)
	return p.setFleet(live.Metadata.Revision + 1)
}

// Revoke plans to sign that a version is revoked: devices stop it, none starts it
// any more nor goes back to it, and it cannot be published again. Assignments that
// name it get replacement, another version or "none"; without one ("") they are an
// error.
func (r *FleetRepo) Revoke(v agent.AppVersion, replacement string) (*Plan, error) {
	if _, err := r.docs.app(v); err != nil && !r.docs.has(v) { // one that is not readable can be revoked
		return nil, err
	}
	p := r.plan()
	p.fleet = r.Fleet()
	var named []string
	for i := range p.fleet.Assignments {
		if a := &p.fleet.Assignments[i]; a.App == v.Name && a.Version == v.Version {
			named = append(named, strconv.Itoa(i+1))
			if a.Version = replacement; replacement == versionNone {
				a.Health = nil
			}
		}
	}
	switch {
	case len(named) > 0 && replacement == "":
		return nil, fmt.Errorf("%s@%s is assigned by assignment %s of the fleet: say with --replace what its devices run instead, another version or none", v.Name, v.Version, strings.Join(named, ", "))
	case replacement == v.Version:
		return nil, fmt.Errorf("%s@%s cannot replace itself: name another version, or none", v.Name, v.Version)
	}
	p.docs[appFile(v)] = []byte(revokedDocument)
	if len(named) > 0 {
		if err := p.edited(r); err != nil {
			return nil, err
		}
	}
	return p, p.complete()
}

// RotateOptions may be left zero.
type RotateOptions struct {
	// Split gives fleet.json, the snapshot and the timestamp a key of their own,
	// "rollout", whatever role was named: who has it assigns versions, and cannot
	// publish any.
	Split   bool
	Encrypt bool // the new keys: Access.Passphrase is asked for each
}

// Rotate plans to hand a role over to new keys, with all roles that its keys sign
// for, root excepted. The keys are made by Push; the root's must be there.
func (r *FleetRepo) Rotate(role trust.Role, opts RotateOptions) (*Plan, error) {
	roles := []trust.Role{trust.RoleTargets, trust.RoleFleet, trust.RoleSnapshot, trust.RoleTimestamp}
	old := r.signed.Signers(role)
	switch {
	case role == trust.RoleRoot:
		roles = []trust.Role{trust.RoleRoot}
	case !slices.Contains(roles, role):
		return nil, fmt.Errorf("%.80q is no role: name one of root, targets, fleet, snapshot, timestamp", role)
	case opts.Split:
		roles, old = roles[1:], trust.Signers{Keys: []string{"rollout"}, Threshold: 1}
	default:
		roles = slices.DeleteFunc(roles, func(other trust.Role) bool {
			return !slices.Equal(r.signed.Signers(other).Keys, old.Keys)
		})
	}
	ring, err := r.ring()
	if err == nil { // before new keys are made that nothing would use
		err = r.signed.CanSign(ring, trust.RoleRoot)
	}
	if err != nil {
		return nil, err
	}
	to := trust.Signers{Threshold: old.Threshold}
	signing := r.signed.Signers(role).Keys // whose files may be elsewhere
	for _, name := range old.Keys {
		to.Keys = append(to.Keys, r.keys.freeName(name, slices.Concat(to.Keys, signing)))
	}
	p := r.plan()
	p.rekeyed = fmt.Sprintf("%s signed by the new key %s", joinRoles(roles), strings.Join(to.Keys, ", "))
	p.warnings = append(p.warnings, "copy the folder "+r.keys.dir+" to a safe place again: without the new key nobody can publish")
	made := map[string]bool{} // a push may be tried again
	p.rekey = func(signed *trust.Repository) error {
		for _, name := range to.Keys {
			if made[name] {
				continue
			}
			if _, err := r.createKey(name, opts.Encrypt); err != nil {
				return err
			}
			made[name] = true
		}
		ring, err := r.ring()
		if err != nil {
			return err
		}
		return signed.Rotate(ring, to, roles...)
	}
	return p, nil
}

func joinRoles(roles []trust.Role) string {
	words := make([]string, len(roles))
	for i, role := range roles {
		words[i] = string(role)
	}
	return strings.Join(words, ", ")
}
