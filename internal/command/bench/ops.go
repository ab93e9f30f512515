package bench

import (
	"context"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
)

type opsCommand struct {
	hardwareFlags `group:"Hardware"`

	Shape       string   `group:"Test" default:"gpt2" placeholder:"NAME" help:"Take ops at the sizes of a model: ${shapes} (${default})."`
	DType       []string `group:"Test" name:"dtype" default:"${types}" placeholder:"TYPE" help:"With matrices, tables and caches of these types (${default})."`
	Op          []string `group:"Test" placeholder:"NAME" help:"Only these ops: ${ops}."`
	repetitions `group:"Test"`
	Ceilings    bool `group:"Test" default:"true" negatable:"" help:"Measure the device's copy bandwidth and arithmetic peak, too, and each op's share of them; slow on software drivers."`

	outputFlags `group:"Output"`
}

// Run measures ops on one device after the other.
func (f *opsCommand) Run(ctx context.Context) error {
	o := bench.OpOptions{Model: f.Shape, Names: f.Op}
	var shape model.Config
	prepare := func(j *job) (err error) {
		j.options.Ceilings = f.Ceilings
		if shape, err = model.Shape(f.Shape); err != nil {
			return cli.Usagef("--shape=%s: %w", f.Shape, err)
		}
		if o.DTypes, err = parseDTypes(f.DType, backend.Weights, ""); err != nil {
			return err
		}
		for _, name := range f.Op {
			if known := bench.OpNames(); !slices.Contains(known, name) {
				return cli.Usagef("--op=%s: expected one of %s", name, strings.Join(known, ", "))
			}
		}
		return nil
	}
	return f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, prepare, func(p piece) ([]result.Record, error) {
		o.Options = p.Options
		results, skipped, err := p.device.MeasureOps(ctx, shape, o)
		for _, why := range skipped {
			notMeasured(why)
		}
		return result.Records(results), err
	})
}
