package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"caldera/backend"
	"caldera/gpt/model"
	"caldera/internal/bench"
	"caldera/internal/bench/result"
	"caldera/internal/cli"
	"caldera/internal/printable"
)

// job is what a command measures: each model, with matrices of each dtype, on
// each device.
type job struct {
	devices []backend.Device
	models  []bench.Model
	dtypes  []backend.DType
	options bench.Options // of all measurements

	what   string // before the model's name in progress
	closed bool   // processes of their own open the devices
	quiet  bool   // the devices were described before
}

// piece is one measurement of a job.
type piece struct {
	device *bench.Device // open; nil where the job's are closed
	spec   backend.Device
	model  bench.Model
	i      int // of the model in the job
	bench.Options
}

// run does what all commands that measure have in common. prepare checks the
// flags, and fills in the job, before anything is measured.
func (f *hardwareFlags) run(ctx context.Context, o *outputFlags, r repetitions, prepare func(*job) error, measure func(piece) ([]result.Record, error)) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	j := job{options: bench.Options{Repetitions: r.Repetitions, Loaded: warnOnce()}, models: []bench.Model{{}}, dtypes: []backend.DType{backend.None}}
	if err := prepare(&j); err != nil {
		return err
	}
	if j.devices == nil { // prepare did not need them
		var err error
		if j.devices, err = f.find(); err != nil {
			return err
		}
	}
	return o.report(func() ([]result.Record, error) { return j.run(ctx, measure) })
}

// fallback tells how many matrices have another type than was asked for, because their rows are not whole blocks of it.
// It is empty where there are none.
func fallback(m *model.Model, asked backend.DType) string {
	all, others := 0, 0
	for _, w := range m.Learned() {
		if !w.Multiplies() || w.NeverInBlocks() {
			continue
		}
		most, better := asked.Mixture()
		if all++; w.Tensor.DType != most && w.Tensor.DType != better {
			others++
		}
	}
	if asked == backend.None || others == 0 {
		return ""
	}
	return fmt.Sprintf("%v: %d of %d matrices have another type, for their rows are not whole blocks", asked, others, all)
}

// warnOnce returns a function that tells on standard error where --activations rounds nothing for a
// model, once for all models of which the same is to be said.
func warnOnce() func(*model.Model) {
	told := map[string]bool{}
	return func(m *model.Model) {
		if w := cli.ActivationsWarning(m); w != "" && !told[w] {
			told[w] = true
			fmt.Fprintln(os.Stderr, w)
		}
	}
}

// run measures each piece of the job. Where one fails, the others have their
// turn all the same, unless the device is lost or ctx has ended. What was
// measured before an error comes with it.
func (j *job) run(ctx context.Context, measure func(piece) ([]result.Record, error)) (all []result.Record, failed error) {
	for _, d := range j.devices {
		records, err := j.on(ctx, d, measure)
		all, failed = append(all, records...), errors.Join(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return all, failed
}

// on measures on one device.
func (j *job) on(ctx context.Context, d backend.Device, measure func(piece) ([]result.Record, error)) (all []result.Record, failed error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var device *bench.Device
	if !j.closed {
		var err error
		if device, err = bench.Open(d); err != nil {
			return nil, err
		}
		defer func() { failed = errors.Join(failed, device.Close()) }()
		if !j.quiet {
			describe(device)
		}
	}
	for i, m := range j.models {
		for _, dtype := range j.dtypes {
			bar := newProgress(strings.Join(strings.Fields(d.Spec()+" "+j.what+" "+m.Name), " "), dtype)
			o := j.options
			o.DType, o.Progress = dtype, bar.step
			o.Loaded = func(m *model.Model) {
				bar.end() // the next step shows it again
				j.options.Loaded(m)
				if note := fallback(m, dtype); note != "" {
					fmt.Fprintln(os.Stderr, note)
				}
			}
			records, err := measure(piece{device, d, m, i, o})
			bar.end()
			all = append(all, records...)
			for _, r := range records {
				if why := result.Failure(r); why != nil {
					notMeasured(why)
				}
			}
			if errors.Is(err, result.ErrUnsupported) {
				notMeasured(cli.WithFlags(err, "-b %d"))
				continue
			}
			failed = errors.Join(failed, cli.WithFlags(err, "-b %d"))
			if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
				return all, failed
			}
		}
	}
	return all, failed
}

// describe tells on standard error what a device is.
func describe(d *bench.Device) {
	warning := ""
	if d.Kind == backend.Software {
		warning = "warning: "
	}
	fmt.Fprintf(os.Stderr, "%s%s: %s\n", warning, d.Spec(), printable.Text(d.Describe()))
	cli.Advise(os.Stderr, d.Device)
}
