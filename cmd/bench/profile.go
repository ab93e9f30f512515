package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
	"caldera/internal/trace"
)

type profileFlag struct {
	Profile string `placeholder:"FILE.json" help:"After the tests time each op of a prompt and of some steps of generation, alone on the device: a table on standard error, and a file for chrome://tracing or ui.perfetto.dev."`
}

// profile makes the file now, so that a wrong path is told before the work is
// done; run fills it. Without the flag run does nothing.
func (f *profileFlag) profile() (*profile, error) {
	if f.Profile == "" {
		return &profile{}, nil
	}
	file, err := create(f.Profile)
	if err != nil {
		return nil, cli.Usagef("--profile: %w", err)
	}
	return &profile{file}, nil
}

// profile is the file of --profile; nil if it was not asked for.
type profile struct{ *file }

func (p *profile) discard() {
	if p.file != nil {
		p.file.discard()
	}
}

// run profiles all models on all devices and writes the file.
func (p *profile) run(ctx context.Context, j job) error {
	if p.file == nil {
		return nil
	}
	var tracks []trace.Track
	for _, d := range j.devices {
		t, err := j.profile(ctx, d)
		if err != nil {
			return err
		}
		tracks = append(tracks, t...)
	}
	if err := trace.WriteChrome(p.file, tracks...); err != nil {
		return err
	}
	return p.file.commit()
}

// profile profiles all models on one device.
func (j job) profile(ctx context.Context, d backend.Device) (tracks []trace.Track, err error) {
	device, err := bench.Open(d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	for _, m := range j.models {
		for _, dtype := range j.dtypes {
			bar, done := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype), 0
			profile, err := device.Profile(ctx, m, dtype, func(what string) {
				bar.step(what, done, 3)
				done++
			})
			bar.end()
			if err == nil {
				err = profile.WriteMarkdown(os.Stderr)
			}
			if err != nil {
				return nil, err
			}
			tracks = append(tracks, profile.Track())
		}
	}
	return tracks, nil
}
