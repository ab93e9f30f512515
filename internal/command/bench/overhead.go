package bench

import (
	"context"

	"caldera/backend"
	"caldera/internal/bench"
)

type overheadCommand struct {
	hardwareFlags `group:"Hardware"`
	repetitions   `group:"Test"`
	outputFlags   `group:"Output"`
}

// Run measures the overhead of one device after the other.
func (f *overheadCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	return f.report(func() ([]bench.Record, error) {
		return open(ctx, devices, func(d *bench.Device) ([]bench.Record, error) {
			p := newProgress(d.Spec(), backend.None)
			defer p.end()
			results, err := d.Overhead(ctx, bench.Options{Repetitions: f.Repetitions, Progress: p.step})
			return bench.Records(results), err
		})
	})
}
