package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/skerry-edge/skerry/agent"
	"github.com/skerry-edge/skerry/agent/admin"
	"github.com/skerry-edge/skerry/internal/logbook"
	"github.com/skerry-edge/skerry/internal/store"
	fleetsync "github.com/skerry-edge/skerry/sync"
)

// gather puts all together. What cannot be had is noted, and is no reason to stop: who
// needs a bundle has a device on which something is wrong.
func (o *bundleOptions) gather(ctx context.Context, now time.Time) *bundle {
	b := &bundle{Made: now, Version: version, LeftOut: []leftOut{}, Parts: []bundlePart{}, without: o.without}
	given, _, unread := readSettings(o.config)
	places, misplaced := configPlaces(o.config)
	if misplaced != nil {
		places.Data, places.Admin.Socket = defaultData, filepath.Join(defaultData, "skerry.sock")
	}
	b.redact = newRedactor(given, baseOf(o.config), places.Data)
	if id, err := readIdentity(places.Data); err == nil && id != nil {
		b.Device = id.ID
	} else if section, ok := given["device"].(map[string]any); ok {
		if id, ok := section["id"].(string); ok && names.MatchString(id) {
			b.Device = id
		}
	}
	b.addJSON("version.json", "release, what it was built of", readBuild())
	if unread != nil {
		b.leave("config.json", unread.Error())
	} else {
		b.addJSON("config.json", "configuration and environment, secrets hidden", b.redact.settings(given))
	}
	doctor := doctorOptions{path: o.config, named: true, offline: true}
	b.addJSON("doctor.json", "what skerry doctor --offline says", doctor.examine(ctx))
	b.addJSON("system.json", "kernel, memory, disks, clock", readSystem(places.Data, filepath.Dir(places.Admin.Socket), filepath.Dir(o.config), os.TempDir()))
	if o.socket != "" {
		places.Admin.Socket = o.socket
	}
	if !o.fromAgent(ctx, b, places.Admin.Socket) {
		o.fromDisk(b, places.Data)
	}
	b.leave("secrets", "credentials, tokens, keys, values of headers and of variables, passwords in addresses are never in it")
	b.leave("state and modules", "what functions remember, and their code, are never in it")
	return b
}

// fromAgent asks the running agent, and tells whether there is one.
func (o *bundleOptions) fromAgent(ctx context.Context, b *bundle, socket string) bool {
	status, err := admin.Get(ctx, socket, "/v1/status")
	if errors.Is(err, admin.ErrNoAgent) {
		b.leave("status, health, history, logs, stacks", err.Error())
		return false
	}
	b.addAnswer("status.json", "what the agent does", status, err)
	for _, p := range [][3]string{
		{"health.json", "/v1/health", "whether it is ready, and what is not well"},
		{"deployments.json", "/v1/deployments", "what ran when, and what changed"},
		{"history.json", "/v1/history", "figures of the last hour"},
	} {
		data, err := admin.Get(ctx, socket, p[1])
		b.addAnswer(p[0], p[2], data, err)
	}
	up := admin.Outboxes{Path: socket}
	waiting, err := up.UplinkStatus()
	b.addOr(err, "uplink.json", "targets, links, what waits", waiting)
	why, err := up.Why("", 0)
	b.addOr(err, "why.json", "what happens to what waits, in words", why)
	o.addLetters(b, admin.Box{Path: socket})
	o.addLogs(ctx, b, socket)
	s, err := admin.AskSupport(ctx, socket)
	if err != nil {
		b.leave("apps, files, stacks", err.Error())
		return true
	}
	b.addSupport(&s)
	return true
}

// fromDisk opens the data directory of an agent that does not run.
func (o *bundleOptions) fromDisk(b *bundle, data string) {
	dir := filepath.Join(data, storeDir)
	info, err := os.Stat(dir)
	if err == nil {
		err = checkOwner(dir, info, os.Geteuid())
	}
	if err != nil {
		b.leave("dead letters, what waits, apps", err.Error())
		return
	}
	st, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.leave("dead letters, what waits, apps", "the data cannot be opened: "+err.Error())
		var s admin.Support
		if s.Files, err = filesBelow(data); err != nil {
			b.leave("a list of the data's files", err.Error())
		}
		b.addSupport(&s)
		return
	}
	defer st.Close() // it was read only
	waiting, err := atRest{backlog{store: st}}.UplinkStatus()
	b.addOr(err, "uplink.json", "what waits for targets", waiting)
	b.addJSON("store.json", "what is on disk", st.Status())
	o.addLetters(b, agent.OpenDeadBox(st))
	s := supportOf(st, data)
	b.addSupport(&s)
}

// supportOf is what a data directory tells.
func supportOf(st *store.Store, data string) (s admin.Support) {
	var err, unlisted error
	s.Kept, err = fleetsync.Kept(st)
	s.Files, unlisted = filesBelow(data)
	if err = errors.Join(err, unlisted); err != nil {
		s.Error = oneSentence(err)
	}
	return s
}

// support is what the agent tells of its insides.
func (d *device) support() admin.Support { return supportOf(d.store, d.cfg.Data) }

// addAnswer takes an agent's JSON in.
func (b *bundle) addAnswer(name, what string, data json.RawMessage, err error) {
	var text bytes.Buffer
	if err == nil {
		err = json.Indent(&text, data, "", "  ")
	}
	if err != nil {
		b.leave(name, err.Error())
		return
	}
	b.add(name, what, append(text.Bytes(), '\n'))
}

// addOr takes v in, unless there was an error.
func (b *bundle) addOr(err error, name, what string, v any) {
	if err != nil {
		b.leave(name, err.Error())
		return
	}
	b.addJSON(name, what, v)
}

// addLetters takes the dead letters in, with their data if that was asked for.
func (o *bundleOptions) addLetters(b *bundle, box admin.Letters) {
	list, err := box.List(agent.DeadFilter{})
	if err != nil {
		b.leave("deadletters.json", err.Error())
		return
	}
	what := "dead letters without their data"
	if o.withData {
		what = "dead letters with their data"
		for i := range list {
			whole, err := box.List(agent.DeadFilter{IDs: []uint64{list[i].ID}})
			if err == nil && len(whole) == 1 { // else it has just gone
				list[i] = whole[0]
			}
		}
	} else if len(list) > 0 {
		b.leave("data of dead letters", "--with-data puts it in")
	}
	b.addJSON("deadletters.json", what, append([]agent.DeadLetter{}, list...))
}

// addLogs takes in what the agent keeps of its log.
func (o *bundleOptions) addLogs(ctx context.Context, b *bundle, socket string) {
	var text bytes.Buffer
	enc, lines := json.NewEncoder(&text), 0
	err := admin.ReadLogs(ctx, socket, logbook.Filter{Level: slog.LevelDebug}, false, func(e admin.LogEntry) error {
		lines++
		return enc.Encode(e)
	})
	if err != nil {
		b.leave("logs.jsonl", err.Error())
		return
	}
	b.add("logs.jsonl", agent.CountText(lines, "line")+" of the agent and its functions", text.Bytes())
}

// addSupport takes apart what an agent or a data directory tells of its insides.
func (b *bundle) addSupport(s *admin.Support) {
	var kept struct {
		Chosen []agent.AppVersion `json:"chosen"`
		Apps   []json.RawMessage  `json:"apps"`
	}
	if json.Unmarshal(s.Kept["deployment"], &kept) == nil {
		for i, app := range kept.Apps {
			if i < len(kept.Chosen) && names.MatchString(kept.Chosen[i].Name) {
				b.addAnswer("apps/"+kept.Chosen[i].Name+".json", "manifest of "+kept.Chosen[i].Name+" "+kept.Chosen[i].Version, app, nil)
			}
		}
	}
	for _, name := range []string{"deployment", "history"} {
		if data, ok := s.Kept[name]; ok {
			b.addAnswer("kept/"+name+".json", "what is kept of the fleet", data, nil)
		}
	}
	if len(s.Files) > 0 {
		b.add("files.txt", agent.CountText(len(s.Files), "file")+" of the data directory, with sizes", listFiles(s.Files))
	}
	if s.Goroutines != "" {
		b.add("goroutines.txt", "what the agent does at this moment, without values", []byte(s.Goroutines))
	}
	if s.Memory != nil {
		b.addJSON("memory.json", "memory of the agent, as Go sees it", s.Memory)
	}
	if s.Error != "" {
		b.leave("some of that", s.Error)
	}
}

func listFiles(files []admin.DataFile) []byte {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, f := range files {
		fmt.Fprintf(t, "%s\t%d\t %s\t %s\n", f.Mode, f.Bytes, f.Modified.Format(time.RFC3339), f.Path) // to memory
	}
	t.Flush()
	return []byte(out.String())
}
