package bench

import (
	"context"

	"caldera/internal/bench/result"
)

type overheadCommand struct {
	hardwareFlags `group:"Hardware"`
	repetitions   `group:"Test"`
	outputFlags   `group:"Output"`
}

// Run measures the overhead of one device after the other.
func (f *overheadCommand) Run(ctx context.Context) error {
	return f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, func(*job) error { return nil }, func(p piece) ([]result.Record, error) {
		results, err := p.device.Overhead(ctx, p.Options)
		return result.Records(results), err
	})
}
