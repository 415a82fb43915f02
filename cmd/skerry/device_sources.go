package main

import (
	"fmt"

	"github.com/skerry-edge/skerry/sensors"
)

// wireSources makes the sources that the configuration names, but for brokers.
func (d *device) wireSources() error {
	if in := d.cfg.HTTPIn; in.Listen != "" {
		h, err := sensors.NewHTTP(sensors.HTTPOptions{
			Device: d.cfg.Device.ID, Listen: in.Listen, Token: in.Token, TokenFile: in.TokenFile,
			CertFile: in.CertFile, KeyFile: in.KeyFile, ClientCAFile: in.ClientCAFile,
			MaxBody: int64(in.MaxBody), Rate: float64(in.Rate), Burst: in.Burst, MaxWaiting: in.MaxWaiting, Log: d.log,
		})
		if err != nil {
			return err
		}
		d.sources = append(d.sources, h)
	}
	for i := range d.cfg.Sources {
		src, err := d.wireSource(&d.cfg.Sources[i])
		if err != nil {
			return err
		}
		d.sources = append(d.sources, src)
	}
	return nil
}

func (d *device) wireSource(s *SourceConfig) (source, error) {
	id, kept := d.cfg.Device.ID, notes{store: d.store, lazy: true}
	switch s.Kind {
	case "files":
		opts := sensors.FilesOptions{
			Name: s.Name, Device: id, Path: s.Path, Glob: s.Glob, Recursive: s.Recursive, Settle: s.Settle,
			Content: s.Content, MaxSize: int64(s.MaxSize), Delete: s.Then == "delete", MoveTo: s.MoveTo,
			Poll: s.Poll, Notes: kept, Log: d.log,
		}
		for _, op := range s.On {
			opts.On = append(opts.On, sensors.FileOp(op))
		}
		return sensors.NewFiles(opts)
	case "tail":
		return sensors.NewTail(sensors.TailOptions{
			Name: s.Name, Device: id, Path: s.Path, FromEnd: s.From == "end", MaxLine: int(s.MaxLine),
			Poll: s.Poll, Notes: kept, Log: d.log,
		})
	case "process":
		return sensors.NewProcess(sensors.ProcessOptions{
			Name: s.Name, Device: id, Command: s.Command, Dir: s.Dir, Env: s.Env, MaxLine: int(s.MaxLine), Log: d.log,
		})
	}
	return nil, fmt.Errorf("source %s: kind %q is unknown", s.Name, s.Kind) // the configuration was checked
}
