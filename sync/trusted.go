package fleetsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/sync/trust"
)

// trustPin is the name under which the cache keeps a trust.State.
const trustPin = "trust"

var (
	errNoRoot = errors.New("this device has no root of its fleet's keys, and takes nothing unsigned: " +
		"make the fleet with skerry fleet init, and give the device the registry.root that it writes")
	errRevoked = errors.New("its publisher has revoked this version: assign another one")
)

// recall reads what was accepted last. What is unreadable must not keep the
// device from getting well again.
func (p *Puller) recall() {
	data, err := p.cache.Pinned(trustPin)
	if errors.Is(err, agent.ErrNotFound) {
		return
	}
	if err == nil {
		err = json.Unmarshal(data, &p.kept)
	}
	if err != nil {
		p.kept = trust.State{}
		p.opts.Log.Warn("kept signatures are ignored, an older publication would be accepted once", "err", err)
		return
	}
	signed, err := p.kept.Check(p.opts.Root, p.opts.Now())
	if signed == nil {
		p.opts.Log.Warn("kept signatures are not of this fleet's keys: what is published is judged anew", "err", err)
		return
	}
	p.trusts(signed)
}

// trusts makes signed what this device goes by from now on.
func (p *Puller) trusts(signed *trust.Verified) {
	if p.signed != nil && signed.Root > p.signed.Root {
		p.opts.Log.Info("the fleet's keys were changed", "root", signed.Root, "was", p.signed.Root)
	}
	p.kept, p.signed = signed.State, signed
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Root, p.status.Issued, p.status.Expires = signed.Root, signed.Issued, signed.Expires
}

// verify checks the signatures of news, unless that was done. What it finds is
// kept before any document is used, so that nothing older is accepted again.
func (p *Puller) verify(ctx context.Context, news *publication) error {
	if news.signed != nil && p.reached().Before(news.signed.Expires) {
		return nil
	}
	signed, refused := trust.Verify(ctx, p.opts.Root, p.kept, news.artefact, p.opts.Now())
	if signed != nil {
		if err := p.keepTrust(signed.State); err != nil {
			return err
		}
		p.trusts(signed)
	}
	if refused != nil {
		return refused
	}
	p.tellVerified(true)
	news.signed = signed
	return nil
}

func (p *Puller) keepTrust(state trust.State) error {
	data, err := json.Marshal(state)
	if err == nil {
		if kept, unread := p.cache.Pinned(trustPin); unread == nil && bytes.Equal(kept, data) {
			return nil
		}
		err = p.cache.Pin(trustPin, data)
	}
	if err != nil {
		return fmt.Errorf("keep the fleet's signatures: %w", err)
	}
	return nil
}

func (p *Puller) tellVerified(good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Verified = good
}

// reached is the latest time that is known to have come.
func (p *Puller) reached() time.Time {
	now := p.opts.Now()
	if p.signed != nil && p.signed.Issued.After(now) {
		return p.signed.Issued
	}
	return now
}

// still judges what this device goes by, when the registry has nothing new.
func (p *Puller) still() error {
	if !p.reached().Before(p.signed.Expires) {
		return fmt.Errorf("since %s: %w", day(p.signed.Expires), trust.ErrExpired)
	}
	p.tellVerified(true)
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// verdicts are why documents are refused, and what to do about it.
var verdicts = []struct {
	why  error
	next string
}{
	{trust.ErrExpired, "publish again, which renews them, and see whether this device's clock is right"},
	{trust.ErrRollback, "if the registry was restored from a backup, publish again from the folder of keys that published last"},
	{trust.ErrUnsigned, "compare the fingerprint of registry.root with what skerry fleet show tells"},
	{trust.ErrTampered, "publish again, and see who may write to that registry"},
	{trust.ErrMixed, "publish again, and see who may write to that registry"},
	{trust.ErrTooLarge, "see who may write to that registry"},
	{trust.ErrInvalid, "publish again, and see who may write to that registry"},
	{trust.ErrAbsent, "publish again"},
}

// adviceOn is what to do about err; "" if that is no judgement of documents,
// which would be the same if it was asked for again.
func adviceOn(err error) string {
	for _, v := range verdicts {
		if errors.Is(err, v.why) {
			return v.next
		}
	}
	return ""
}

// advise says what it means that documents are refused. Any other error, such as
// of a connection, stays as it is.
func (r *Registry) advise(err error) error {
	if next := adviceOn(err); next != "" {
		return fmt.Errorf("nothing new is taken from %s: %w; %s", r, err, next)
	}
	return err
}

// fits tells what speaks against running an app here.
func (p *Puller) fits(app *App) error {
	if m := app.Metadata; p.revoked(agent.AppVersion{Name: m.Name, Version: m.Version}) {
		return errRevoked
	}
	return p.device.fits(app)
}

// revoked tells whether the publisher has revoked a version. One that is not
// published any more, since newer ones are, is not: it may run on.
func (p *Puller) revoked(v agent.AppVersion) bool {
	return p.signed != nil && p.signed.Documents[appFile(v)] == int64(len(revokedDocument))
}
