package bench

import (
	"context"

	"caldera/internal/bench"
	"caldera/internal/bench/result"
)

type startupCommand struct {
	hardwareFlags `group:"Hardware"`
	modelFlags    `group:"Model"`
	repetitions   `group:"Test"`
	outputFlags   `group:"Output"`
}

// Run starts processes that use one device after the other.
func (f *startupCommand) Run(ctx context.Context) error {
	prepare := func(j *job) (err error) {
		j.closed = true
		if j.dtypes, err = f.dtypes(); err != nil {
			return err
		}
		j.models, err = f.models(ctx)
		return err
	}
	return f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, prepare, func(p piece) ([]result.Record, error) {
		results, err := bench.Startup(ctx, p.spec, p.model, bench.StartupOptions{Options: p.Options, Threads: f.Threads})
		return result.Records(results), err
	})
}
