package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DeadLetter is an event that its function, or a record that its target or
// broker, will not have.
type DeadLetter struct {
	ID          uint64    `json:"id"`                 // a higher one died later
	Queue       string    `json:"queue"`              // where it waited, and goes again: inbox/app/function, target/name/priority, broker/name
	Function    string    `json:"function,omitempty"` // that did not take it, or that decided it
	Trigger     string    `json:"trigger,omitempty"`
	Attempts    int       `json:"attempts"`
	Reason      string    `json:"reason"`
	Event       string    `json:"event"` // its id
	Topic       string    `json:"topic,omitempty"`
	Time        time.Time `json:"time,omitzero"` // of the event
	ContentType string    `json:"content_type,omitempty"`
	Size        int       `json:"size"`                  // of the data, bytes
	Data        []byte    `json:"data_base64,omitempty"` // not in lists
}

// DeadFilter chooses dead letters: those with one of the IDs, of the Function,
// or both; the zero DeadFilter chooses all.
type DeadFilter struct {
	IDs      []uint64 `json:"ids,omitempty"`
	Function string   `json:"function,omitempty"`
}

// DeadBox is the dead-letter box of a store.
type DeadBox struct {
	store    Store
	agent    *Agent // nil: none runs on the store
	replacer *replacer
}

// OpenDeadBox is the box of a store that no agent runs on.
func OpenDeadBox(store Store) *DeadBox {
	return &DeadBox{store: store, replacer: newReplacer(store, slog.New(slog.DiscardHandler))}
}

// DeadBox is the box of the agent's store.
func (a *Agent) DeadBox() *DeadBox { return &DeadBox{a.store, a, a.replacer} }

// List gives the letters that f chooses, in the order of their deaths, with
// their data if f names IDs. An ID that is not there is an error.
func (b *DeadBox) List(f DeadFilter) ([]DeadLetter, error) {
	records, err := b.choose(f)
	if err != nil {
		return nil, err
	}
	letters := make([]DeadLetter, len(records))
	for i := range records {
		r := &records[i]
		letters[i] = DeadLetter{
			ID: r.Seq, Queue: r.Origin, Function: r.Function, Trigger: r.Trigger, Attempts: r.Attempts, Reason: r.Reason,
			Event: r.Event.ID, Topic: r.Event.Subject, Time: r.Event.Time, ContentType: r.Event.ContentType, Size: len(r.Event.Data),
		}
		if len(f.IDs) > 0 {
			letters[i].Data = r.Event.Data
		}
	}
	return letters, nil
}

// choose reads the letters that f names, in order.
func (b *DeadBox) choose(f DeadFilter) ([]Record, error) {
	var chosen []Record
	missing := slices.Clone(f.IDs)
	for _, stub := range b.store.Pending(QueueDead) {
		if len(f.IDs) > 0 && !slices.Contains(f.IDs, stub.Seq) {
			continue
		}
		r, err := b.store.Record(stub.Seq)
		if errors.Is(err, ErrNotFound) {
			continue // it went while we were looking
		}
		if err != nil {
			return nil, fmt.Errorf("read dead letter %d: %w", stub.Seq, err)
		}
		missing = slices.DeleteFunc(missing, func(id uint64) bool { return id == stub.Seq })
		if f.Function == "" || f.Function == r.Function {
			chosen = append(chosen, r)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("there is no dead letter %d: %w; see skerry deadletter list", missing[0], ErrNotFound)
	}
	return chosen, nil
}

// Drop removes the letters that f chooses for good, and tells how many.
func (b *DeadBox) Drop(ctx context.Context, f DeadFilter) (int, error) {
	defer b.lock()()
	records, err := b.choose(f)
	if err != nil {
		return 0, err
	}
	frame := &Frame{}
	for i := range records {
		frame.Done = append(frame.Done, records[i].Seq)
	}
	if err := b.store.Commit(ctx, frame); err != nil {
		return 0, fmt.Errorf("drop dead letters: %w", err)
	}
	return len(records), nil
}

// lock keeps others from the box until the function that it returns is called.
func (b *DeadBox) lock() (unlock func()) {
	if b.agent == nil {
		return func() {}
	}
	b.agent.boxing.Lock()
	return b.agent.boxing.Unlock
}

// Redrive sends the letters that f chooses back to where they came from, as if
// they had just come: they keep their order among themselves, behind what waits
// there already. With data, which f must choose exactly one letter for, that
// takes the place of its data. They do not expire any more. One of a target of
// keepLatest goes no further than the box where a newer one with its key waits:
// that has taken its place, and it counts as replaced. Redrive tells how many
// went; on error the others are still in the box.
func (b *DeadBox) Redrive(ctx context.Context, f DeadFilter, data []byte) (int, error) {
	defer b.lock()()
	records, err := b.choose(f)
	if err != nil {
		return 0, err
	}
	if data != nil {
		if len(records) != 1 {
			return 0, fmt.Errorf("new data is for one dead letter, not %d: name its id: %w", len(records), ErrInvalid)
		}
		edit(&records[0], data)
	}
	went := 0
	for len(records) > 0 {
		frame := &Frame{}
		var size int64
		for len(records) > 0 && len(frame.Add) < maxGroup && size < maxGroupBytes {
			r := records[0]
			size += recordSize(&r.Event)
			if err = b.admit(&r, size); err != nil {
				break
			}
			frame.Done = append(frame.Done, r.Seq)
			frame.Add = append(frame.Add, again(r))
			records = records[1:]
		}
		if commitErr := b.commit(ctx, frame); commitErr != nil {
			return went, commitErr
		}
		went += len(frame.Add)
		if err != nil {
			return went, err
		}
	}
	return went, nil
}

// edit replaces the data of a letter. What comes of it is not what came of the
// old data, so its outputs need other ids.
func edit(r *Record, data []byte) {
	r.Event.ID += "/edited-" + strconv.FormatUint(r.Seq, 10)
	r.Event.Data = data
}

// again is the record that r was before it died. It takes nobody's place: what
// came to its target since, and waits, is newer.
func again(r Record) Record {
	r.Queue, r.Origin, r.Reason = r.Origin, "", ""
	r.Seq, r.Attempts, r.NotBefore, r.Expires = 0, 0, time.Time{}, time.Time{}
	r.Latest = false
	r.Event.Origin = Origin{}
	switch where, _, _ := strings.Cut(r.Queue, "/"); {
	case where == "target" && r.Function == "":
		r.Kind = KindTelemetry
	case where == "target":
		r.Kind = KindFollowup
	case where == "broker":
		r.Kind = KindPublish
	default:
		r.Kind = KindEvent
	}
	return r
}

// admit refuses a letter that would find nobody, or no room for size bytes.
func (b *DeadBox) admit(r *Record, size int64) error {
	if b.agent == nil || r.Origin != QueueInbox(r.Function) {
		return nil
	}
	fn := b.agent.current.Load().functions[r.Function]
	switch {
	case fn == nil:
		return fmt.Errorf("dead letter %d is for %s, which does not run here: bring its app back, or drop it", r.Seq, r.Function)
	case !fn.inbox.hasRoom(size):
		return fmt.Errorf("dead letter %d finds no room in the inbox of %s: try again when it has worked some off: %w", r.Seq, r.Function, ErrFull)
	}
	return nil
}

// commit writes the frame and hands events on to functions that run.
func (b *DeadBox) commit(ctx context.Context, f *Frame) error {
	if f.Empty() {
		return nil
	}
	if err := b.replacer.commit(ctx, f); err != nil {
		return fmt.Errorf("redrive dead letters: %w", err)
	}
	if b.agent == nil {
		return nil
	}
	functions := b.agent.current.Load().functions
	for i := range f.Add {
		if r := &f.Add[i]; r.Kind == KindEvent && functions[r.Function] != nil {
			functions[r.Function].deliver(r, &r.Event)
		}
	}
	return nil
}
