package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

func run(ctx context.Context, f *flags) (err error) {
	if f.ListDevices {
		return cli.List(os.Stdout)
	}
	j, err := f.job()
	if err != nil {
		return err
	}
	host := bench.NewHost(revision())
	out := io.Writer(os.Stdout)
	if f.Output != "" {
		// Made now, so that a wrong path is told before the work is done.
		file, err := create(f.Output)
		if err != nil {
			return cli.Usagef("--output: %w", err)
		}
		defer file.discard()
		out = file
	}
	profile, err := f.profile()
	if err != nil {
		return err
	}
	defer profile.discard()
	results, err := measure(ctx, j, f.Repetitions)
	if err != nil && len(results) == 0 {
		return err
	}
	// What was measured before an error or Ctrl-C is reported all the same.
	host.Mark(results)
	if err := errors.Join(err, write(out, f.Format, host, results)); err != nil {
		return err
	}
	return profile.run(ctx, j)
}

func write(w io.Writer, format string, h bench.Host, results []bench.Result) error {
	var err error
	if format == "json" {
		err = bench.WriteJSON(w, results)
	} else {
		err = bench.WriteMarkdown(w, h, results)
	}
	if file, ok := w.(*file); ok && err == nil {
		err = file.commit()
	}
	return err
}

// measure runs all tests of all models on one device after the other.
func measure(ctx context.Context, j job, repetitions int) (results []bench.Result, err error) {
	for _, d := range j.devices {
		r, err := j.on(ctx, d, repetitions)
		results = append(results, r...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

func (j job) on(ctx context.Context, d backend.Device, repetitions int) (results []bench.Result, err error) {
	device, err := bench.Open(d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	warning := ""
	if d.Kind == backend.Software {
		warning = "warning: "
	}
	fmt.Fprintf(os.Stderr, "%s%s: %s\n", warning, d.Spec(), device.Describe())
	for i, m := range j.models {
		for _, dtype := range j.dtypes {
			p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
			r, err := device.Measure(ctx, m, j.tests[i], bench.Options{Repetitions: repetitions, DType: dtype, Progress: p.step})
			p.end()
			results = append(results, r...)
			if err != nil {
				return results, err
			}
		}
	}
	return results, nil
}
