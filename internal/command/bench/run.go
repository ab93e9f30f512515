package bench

import (
	"context"
	"errors"

	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/setting"
)

type runCommand struct {
	hardwareFlags `group:"Hardware"`
	modelFlags    `group:"Model"`

	cli.AdapterFlag `group:"Model"`

	Prompt      []int `group:"Test" short:"p" aliases:"n-prompt" placeholder:"N" help:"Measure reading prompts of N tokens; 0: none (default: ${prompt}, or what the context holds)."`
	Gen         []int `group:"Test" name:"n-gen" short:"n" placeholder:"N" help:"Measure generating N tokens; 0: none (default: ${gen}, or what the context holds)."`
	Depth       []int `group:"Test" name:"n-depth" short:"d" placeholder:"N" help:"Tokens in the context before each test; several for one after the other (default: 0)."`
	Parallel    []int `group:"Test" short:"b" placeholder:"N" help:"Measure N sequences at once, in a batch: N prompts read, and N tokens generated in each step (llama.cpp's -npl; not a batch size in tokens, which is chosen by itself); several for one after the other (default: one sequence, in a session)."`
	repetitions `group:"Test"`
	cacheFlag   `group:"Test"`
	Ceilings    bool `group:"Test" default:"true" negatable:"" help:"Measure the device's copy bandwidth and arithmetic peak, too, and each test's share of them; slow on software drivers."`

	outputFlags `group:"Output"`
	profileFlag `group:"Output"`
}

// Run measures all tests of all models on one device after the other.
func (f *runCommand) Run(ctx context.Context) (failed error) {
	profile := profiling{measured: map[profiled]bool{}}
	done := func() error { return nil }
	defer func() { failed = errors.Join(failed, done()) }()
	defer func() { discard(profile.file) }()
	prepare := func(j *job) (err error) {
		j.options.Cache, j.options.Activations, j.options.Ceilings = f.cache(), f.Activation(), f.Ceilings
		if j.dtypes, err = f.dtypes(); err != nil {
			return err
		}
		if j.models, err = f.models(ctx); err != nil {
			return err
		}
		if done, err = adapt(f.AdapterFlag, j.models); err != nil {
			return err
		}
		if profile.tests, err = tests(j.models, f.Prompt, f.Gen, f.Depth, f.Parallel); err != nil {
			return err
		}
		if err := distinct("--output", f.Output, "--profile", f.Profile); err != nil {
			return err
		}
		profile.job = j
		// Made now, so that a wrong path is told before the work is done.
		profile.file, err = create("--profile", f.Profile)
		return err
	}
	err := f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, prepare, func(p piece) ([]result.Record, error) {
		results, err := p.device.Measure(ctx, p.model, profile.tests[p.i], p.Options)
		profile.measured[profiled{p.spec.Spec(), p.i, p.DType}] = len(results) > 0
		return result.Records(results), err
	})
	return errors.Join(err, profile.run(ctx))
}

// tests lists those of each model.
func tests(models []bench.Model, prompt, gen, depth, parallel []int) (all [][]bench.Test, err error) {
	flags := map[string]string{"prompt": "-p", "n-gen": "-n", "depth": "-d", "parallel": "-b"}
	for _, m := range models {
		list, err := bench.Tests(m.Config, prompt, gen, depth, parallel)
		if err != nil {
			return nil, cli.Usagef("model %s: %w", m.Name, setting.Spell(err, func(name string) string { return flags[name] }))
		}
		all = append(all, list)
	}
	return all, nil
}
