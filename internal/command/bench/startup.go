package bench

import (
	"context"
	"errors"
	"fmt"

	"caldera/internal/bench"
)

type startupCommand struct {
	hardwareFlags `group:"Hardware"`
	modelFlags    `group:"Model"`
	repetitions   `group:"Test"`
	outputFlags   `group:"Output"`
}

// Run starts processes that use one device after the other.
func (f *startupCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	dtypes, err := f.dtypes()
	if err != nil {
		return err
	}
	models, err := f.models()
	if err != nil {
		return err
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	return f.report(func() (all []bench.Record, failed error) {
		for _, d := range devices {
			for _, m := range models {
				for _, dtype := range dtypes {
					p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
					results, err := bench.Startup(ctx, d, m, bench.StartupOptions{
						Options: bench.Options{Repetitions: f.Repetitions, DType: dtype, Progress: p.step},
						Threads: f.Threads,
					})
					p.end()
					all = append(all, bench.Records(results)...)
					failed = errors.Join(failed, err)
					if ctx.Err() != nil {
						return all, failed
					}
				}
			}
		}
		return all, failed
	})
}
