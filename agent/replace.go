package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"slices"
	"sync"
)

// replacer lets a record of keepLatest take the place of those that wait in the
// same queue, of the same function and with the same key: the frame that adds it
// names them in Done, so that a crash leaves the one or the others. What waits is
// read from the store when it is first needed.
type replacer struct {
	store Store
	log   *slog.Logger

	mu     sync.Mutex // held while a frame with such records is committed
	loaded bool
	keys   map[latestKey]replaceable
	unseen int // keys that may come until those of which nothing waits are forgotten

	counting sync.Mutex
	replaced map[string]int64 // by target
}

// latestKey is a digest of queue, function and key, for these may be long.
type latestKey [16]byte

// replaceable is what may wait under a key, and goes when a newer record comes.
type replaceable struct {
	newest uint64   // the last record of keepLatest; 0: there is none
	others []uint64 // older ones: sent back from the dead-letter box
}

const (
	maxLatest   = 65536 // keys kept in mind, about 70 bytes each; of others all records are sent
	forgetAfter = 1024  // new keys, at least
)

func newReplacer(store Store, log *slog.Logger) *replacer {
	return &replacer{store: store, log: log, replaced: map[string]int64{}}
}

// placed says in whose place a record comes; the zero placed: in nobody's.
type placed struct {
	target string
	key    latestKey
}

func placeOf(r *Record) placed {
	target, _, latest, _ := SplitTarget(r.Queue)
	if !latest {
		return placed{}
	}
	sum := sha256.Sum256([]byte(r.Queue + "\x00" + r.Function + "\x00" + r.Key))
	return placed{target, latestKey(sum[:])}
}

// commit is Store.Commit, but for records that are replaced: those that wait
// leave their queue; those of f itself are not added, and get no Seq.
func (x *replacer) commit(ctx context.Context, f *Frame) error {
	if !hasLatest(f) {
		return x.store.Commit(ctx, f)
	}
	places := make([]placed, len(f.Add))
	for i := range f.Add {
		places[i] = placeOf(&f.Add[i])
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.load()
	sifted, from, replaced := x.sift(f, places)
	if err := x.store.Commit(ctx, &sifted); err != nil {
		return err
	}
	for i, from := range from {
		r := &f.Add[from]
		if r.Seq = sifted.Add[i].Seq; places[from].target != "" {
			x.enter(places[from].key, r)
		}
	}
	x.count(replaced)
	return nil
}

// hasLatest tells whether any record of f may take the place of another: of most
// frames none does.
func hasLatest(f *Frame) bool {
	for i := range f.Add {
		if _, _, latest, _ := SplitTarget(f.Add[i].Queue); latest {
			return true
		}
	}
	return false
}

// sift makes a frame of f without what is replaced, which it counts by target;
// from is where each of its records is in f.
func (x *replacer) sift(f *Frame, places []placed) (sifted Frame, from []int, replaced map[string]int64) {
	sifted, replaced = *f, map[string]int64{}
	sifted.Add, sifted.Done = nil, slices.Clone(f.Done)
	last := map[latestKey]int{}
	for i := range f.Add {
		if places[i].target != "" && f.Add[i].Latest {
			last[places[i].key] = i
		}
	}
	for i := range f.Add {
		p, latest := places[i], f.Add[i].Latest
		if p.target != "" {
			if newer, ok := last[p.key]; ok && newer != i || !latest && x.newestWaits(p.key) {
				replaced[p.target]++
				continue
			}
			if latest {
				gone := x.waiting(p.key)
				sifted.Done = append(sifted.Done, gone...)
				replaced[p.target] += int64(len(gone))
			}
		}
		sifted.Add, from = append(sifted.Add, f.Add[i]), append(from, i)
	}
	return sifted, from, replaced
}

func (x *replacer) newestWaits(key latestKey) bool {
	seq := x.keys[key].newest
	return seq != 0 && x.store.Has(seq)
}

// waiting lists what waits under a key.
func (x *replacer) waiting(key latestKey) (seqs []uint64) {
	known := x.keys[key]
	for _, seq := range append(known.others, known.newest) {
		if seq != 0 && x.store.Has(seq) {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// enter notes a record that was committed.
func (x *replacer) enter(key latestKey, r *Record) {
	known, ok := x.keys[key]
	if !ok && !x.room() {
		return
	}
	if r.Latest {
		known = replaceable{newest: r.Seq}
	} else {
		known.others = append(known.others, r.Seq)
	}
	x.keys[key] = known
}

// room tells whether another key can be kept in mind. Looking for those that need
// not be is spread over the keys that come.
func (x *replacer) room() bool {
	if x.unseen--; x.unseen <= 0 {
		for key := range x.keys {
			if len(x.waiting(key)) == 0 {
				delete(x.keys, key)
			}
		}
		x.unseen = max(len(x.keys)/8, forgetAfter)
	}
	return len(x.keys) < maxLatest
}

// load reads what waits since before this start.
func (x *replacer) load() {
	if x.loaded {
		return
	}
	x.loaded, x.keys, x.unseen = true, map[latestKey]replaceable{}, forgetAfter
	for _, queue := range x.store.Queues() {
		if _, _, latest, _ := SplitTarget(queue); !latest {
			continue
		}
		for _, stub := range x.store.Pending(queue) {
			if len(x.keys) >= maxLatest {
				return
			}
			r, err := x.store.Record(stub.Seq)
			switch {
			case errors.Is(err, ErrNotFound): // it was delivered meanwhile
			case err != nil:
				x.log.Warn("cannot read a record that waits: no newer one will take its place", "queue", queue, "record", stub.Seq, "err", err)
			default:
				x.found(&r)
			}
		}
	}
}

// found enters a record that load came across. Older ones of its key wait beside
// it only if it was not known when they were committed, see maxLatest.
func (x *replacer) found(r *Record) {
	key := placeOf(r).key
	before := x.keys[key]
	x.enter(key, r)
	if known, ok := x.keys[key]; ok && r.Latest && before.newest != 0 {
		known.others = append(before.others, before.newest)
		x.keys[key] = known
	}
}

func (x *replacer) count(replaced map[string]int64) {
	x.counting.Lock()
	defer x.counting.Unlock()
	for target, n := range replaced {
		x.replaced[target] += n
	}
}

// counts are the records that newer ones took the place of, since the start: of a
// target, and of all.
func (x *replacer) counts(target string) (of, all int64) {
	x.counting.Lock()
	defer x.counting.Unlock()
	for _, n := range x.replaced {
		all += n
	}
	return x.replaced[target], all
}

// Replaced counts the records for target that newer ones with their key took the
// place of, since the start.
func (a *Agent) Replaced(target string) int64 {
	of, _ := a.replacer.counts(target)
	return of
}
