package bench

import (
	"context"
	"slices"
	"strings"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

type opsCommand struct {
	hardwareFlags `group:"Hardware"`

	Shape       string   `group:"Test" default:"gpt2" placeholder:"NAME" help:"Take ops at the sizes of a model: ${shapes} (${default})."`
	DType       []string `group:"Test" name:"dtype" default:"${dtypes}" placeholder:"TYPE" help:"With matrices, tables and caches of these types (${default})."`
	Op          []string `group:"Test" placeholder:"NAME" help:"Only these ops: ${ops}."`
	repetitions `group:"Test"`
	Ceilings    bool `group:"Test" default:"true" negatable:"" help:"Measure the device's copy bandwidth and arithmetic peak, too, and each op's share of them; slow on software drivers."`

	outputFlags `group:"Output"`
}

// Run measures ops on one device after the other.
func (f *opsCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	shape, err := gpt.Shape(f.Shape)
	if err != nil {
		return cli.Usagef("--shape=%s: %w", f.Shape, err)
	}
	dtypes, err := parseDTypes(f.DType, "")
	if err != nil {
		return err
	}
	for _, name := range f.Op {
		if known := bench.OpNames(); !slices.Contains(known, name) {
			return cli.Usagef("--op=%s: expected one of %s", name, strings.Join(known, ", "))
		}
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	return f.report(func() ([]bench.Record, error) {
		return open(ctx, devices, func(d *bench.Device) ([]bench.Record, error) {
			p := newProgress(d.Spec(), backend.None)
			defer p.end()
			results, skipped, err := d.MeasureOps(ctx, shape, bench.OpOptions{
				Options: bench.Options{Repetitions: f.Repetitions, Ceilings: f.Ceilings, Progress: p.step},
				Model:   f.Shape, DTypes: dtypes, Names: f.Op,
			})
			for _, why := range skipped {
				notMeasured(why)
			}
			return bench.Records(results), err
		})
	})
}
