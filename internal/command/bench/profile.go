package bench

import (
	"context"
	"errors"
	"io"
	"os"

	"caldera/backend"
	"caldera/internal/atomicfile"
	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/trace"
)

type profileFlag struct {
	Profile string `placeholder:"FILE.json" help:"After the tests time each op of them, alone on the device (-p, -n and -d say which; of generation the first 8 steps): a table on standard error, and a file for chrome://tracing or ui.perfetto.dev."`
}

// profiling profiles what run measured, into the file of --profile.
type profiling struct {
	file     *atomicfile.File // nil if it was not asked for
	job      *job
	tests    [][]bench.Test    // of each model
	measured map[profiled]bool // what gave results
}

// profiled is a model, by its number in the job, on a device.
type profiled struct {
	device string
	model  int
	dtype  backend.DType
}

// run profiles all models on all devices, but those that could not be measured,
// and writes the file. What was profiled before an error, or Ctrl-C, is written
// all the same. Without a file it does nothing.
func (p *profiling) run(ctx context.Context) error {
	if p.file == nil || p.job.devices == nil {
		return nil
	}
	var tracks []trace.Track
	p.job.quiet = true
	_, failed := p.job.run(ctx, func(x piece) ([]result.Record, error) {
		if !p.measured[profiled{x.spec.Spec(), x.i, x.DType}] {
			return nil, nil // the reason was told
		}
		profile, err := x.device.Profile(ctx, x.model, p.tests[x.i], x.Options)
		if len(profile.Parts) > 0 {
			tracks = append(tracks, profile.Track())
			err = errors.Join(err, cli.WriteTables(os.Stderr, profile.WriteMarkdown))
		}
		return nil, err
	})
	if len(tracks) == 0 {
		return failed
	}
	return errors.Join(failed, write(p.file, func(w io.Writer) error { return trace.WriteChrome(w, tracks...) }))
}
