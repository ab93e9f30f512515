package bench

import (
	"context"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

type runCommand struct {
	hardwareFlags `group:"Hardware"`
	modelFlags    `group:"Model"`

	Prompt      []int `group:"Test" short:"p" aliases:"n-prompt" placeholder:"N" help:"Measure reading prompts of N tokens; 0: none (default: ${prompt}, or what the context holds)."`
	Gen         []int `group:"Test" name:"n-gen" short:"n" placeholder:"N" help:"Measure generating N tokens; 0: none (default: ${gen}, or what the context holds)."`
	Depth       []int `group:"Test" name:"n-depth" short:"d" placeholder:"N" help:"Tokens in the context before each test; several for one after the other (default: 0)."`
	repetitions `group:"Test"`
	cacheFlag   `group:"Test"`
	Ceilings    bool `group:"Test" default:"true" negatable:"" help:"Measure the device's copy bandwidth and arithmetic peak, too, and each test's share of them; slow on software drivers."`

	outputFlags `group:"Output"`
	profileFlag `group:"Output"`
}

// job is what the flags ask for.
type job struct {
	devices []backend.Device
	dtypes  []backend.DType
	models  []bench.Model
	tests   [][]bench.Test // of each model
	cache   backend.DType

	measured map[work]bool // what gave results
}

// work is a model on a device.
type work struct {
	device, model string
	dtype         backend.DType
}

// job checks all that can be checked before anything is measured.
func (f *runCommand) job() (j job, err error) {
	if err := f.repetitions.check(); err != nil {
		return j, err
	}
	if j.dtypes, err = f.dtypes(); err != nil {
		return j, err
	}
	if j.models, err = f.models(); err != nil {
		return j, err
	}
	for _, m := range j.models {
		tests, err := bench.Tests(m.Config, f.Prompt, f.Gen, f.Depth)
		if err != nil {
			return j, cli.Usagef("model %s: %w", m.Name, err)
		}
		j.tests = append(j.tests, tests)
	}
	j.cache, j.measured = f.cache(), map[work]bool{}
	j.devices, err = f.find()
	return j, err
}

// Run measures all tests of all models on one device after the other.
func (f *runCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	j, err := f.job()
	if err != nil {
		return err
	}
	if err := distinct("--output", f.Output, "--profile", f.Profile); err != nil {
		return err
	}
	profile, err := f.profiling(j)
	if err != nil {
		return err
	}
	defer discard(profile.file)
	err = f.report(func() ([]bench.Record, error) {
		return open(ctx, j.devices, func(d *bench.Device) ([]bench.Record, error) {
			return j.on(ctx, d, bench.Options{Repetitions: f.Repetitions, Cache: j.cache, Ceilings: f.Ceilings})
		})
	})
	return errors.Join(err, profile.run(ctx))
}

func (j job) on(ctx context.Context, d *bench.Device, o bench.Options) (all []bench.Record, failed error) {
	for i, m := range j.models {
		for _, dtype := range j.dtypes {
			p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
			o.DType, o.Progress = dtype, p.step
			results, err := d.Measure(ctx, m, j.tests[i], o)
			p.end()
			all = append(all, bench.Records(results)...)
			j.measured[work{d.Spec(), m.Name, dtype}] = len(results) > 0
			err = cli.WithFlags(err)
			if errors.Is(err, bench.ErrUnsupported) {
				notMeasured(err)
				continue
			}
			failed = errors.Join(failed, err)
			if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
				return all, failed
			}
		}
	}
	return all, failed
}
