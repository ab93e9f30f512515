package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"caldera/backend"
	"caldera/internal/atomicfile"
	"caldera/internal/bench"
	"caldera/internal/cli"
	"caldera/internal/trace"
)

type profileFlag struct {
	Profile string `placeholder:"FILE.json" help:"After the tests time each op of them, alone on the device (-p, -n and -d say which; of generation the first 8 steps): a table on standard error, and a file for chrome://tracing or ui.perfetto.dev."`
}

// profiling is a file of --profile, and what goes there.
type profiling struct {
	file *atomicfile.File // nil if it was not asked for
	job  job
}

// profiling makes the file now, so that a wrong path is told before the work is
// done; run fills it. Without the flag run does nothing.
func (f *profileFlag) profiling(j job) (profiling, error) {
	file, err := create("--profile", f.Profile)
	return profiling{file, j}, err
}

// run profiles all models on all devices, but those that could not be measured,
// and writes the file. What was profiled before an error, or Ctrl-C, is written
// all the same.
func (p profiling) run(ctx context.Context) error {
	if p.file == nil {
		return nil
	}
	var tracks []trace.Track
	var failed error
	for _, d := range p.job.devices {
		if ctx.Err() != nil {
			break
		}
		t, err := p.job.profile(ctx, d)
		tracks = append(tracks, t...)
		failed = errors.Join(failed, err)
	}
	if len(tracks) == 0 {
		return failed
	}
	return errors.Join(failed, write(p.file, func(w io.Writer) error { return trace.WriteChrome(w, tracks...) }))
}

// profile profiles all models on one device.
func (j job) profile(ctx context.Context, d backend.Device) (tracks []trace.Track, failed error) {
	device, err := bench.Open(d)
	if err != nil {
		return nil, err
	}
	defer func() { failed = errors.Join(failed, device.Close()) }()
	for i, m := range j.models {
		for _, dtype := range j.dtypes {
			if !j.measured[work{d.Spec(), m.Name, dtype}] {
				continue // the reason was told
			}
			bar := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
			profile, err := device.Profile(ctx, m, j.tests[i], bench.Options{DType: dtype, Cache: j.cache, Progress: bar.step})
			bar.end()
			if len(profile.Parts) > 0 {
				tracks = append(tracks, profile.Track())
				err = errors.Join(err, cli.WriteTables(os.Stderr, profile.WriteMarkdown))
			}
			failed = errors.Join(failed, cli.WithFlags(err))
			if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
				return tracks, failed
			}
		}
	}
	return tracks, failed
}
