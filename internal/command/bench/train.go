package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

type trainCommand struct {
	hardwareFlags `group:"Hardware"`

	Model []string `group:"Model" short:"m" placeholder:"PATH" help:"Checkpoints to train: directories in Hugging Face's layout, or GGUF files."`
	Shape []string `group:"Model" placeholder:"NAME" help:"Models of these shapes with random weights: ${shapes} (default: nanogpt,gpt2)."`

	Batch       int      `group:"Step" default:"-1" placeholder:"N" help:"Sequences that are computed at once (default: nanoGPT's 12 for nanogpt, 4 for others)."`
	Time        int      `group:"Step" default:"-1" placeholder:"N" help:"Tokens of each (default: 64, or what the context holds)."`
	Accumulate  int      `group:"Step" default:"1" placeholder:"N" help:"Batches whose gradients add up to those of a step (${default})."`
	Recompute   bool     `group:"Step" help:"Keep what passes from block to block alone, and compute the insides of blocks again backward."`
	DType       []string `group:"Step" name:"dtype" default:"f32" placeholder:"TYPE" help:"Products of f32, or of f16 (mixed precision, of PyTorch autocast), on both sides; or f32,f16 for one after the other (${default})."`
	Ceilings    bool     `group:"Step" default:"true" negatable:"" help:"Measure the device's copy bandwidth and arithmetic peak, too, and the step's share of it; slow on software drivers."`
	repetitions `group:"Step"`

	Peer    []string      `group:"Peers" placeholder:"NAME" help:"Peers to measure beside: ${trainers} (default: all)."`
	Python  string        `group:"Peers" placeholder:"PATH" help:"Python that has PyTorch (default: python3, or /usr/bin/python3)."`
	Timeout time.Duration `group:"Peers" default:"5m" placeholder:"TIME" help:"End a peer that needs longer for a reply: starting, loading, one repetition (${default})."`

	outputFlags `group:"Output"`
}

// workload is steps of a model.
type workload struct {
	model bench.Model
	step  bench.Training
	dtype backend.DType
}

// Run measures all models on one device after the other.
func (f *trainCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	if f.Timeout <= 0 {
		return cli.Usagef("--timeout=%v: expected more than 0, such as 5m", f.Timeout)
	}
	peers, err := bench.FindTrainPeers(f.Peer, bench.PeerPlaces{Python: f.Python})
	if err != nil {
		return cli.Usagef("--peer: %w", err)
	}
	work, err := f.work()
	if err != nil {
		return err
	}
	devices, err := f.find()
	if err != nil {
		return err
	}
	return f.report(func() ([]bench.Record, error) {
		return open(ctx, devices, func(d *bench.Device) ([]bench.Record, error) { return f.on(ctx, d, work, peers) })
	})
}

// work is what there is to measure, checked as far as it can be.
func (f *trainCommand) work() (all []workload, err error) {
	flags := modelFlags{Model: f.Model, Shape: f.Shape}
	if len(f.Model)+len(f.Shape) == 0 {
		flags.Shape = []string{"nanogpt", "gpt2"}
	}
	models, err := flags.models()
	if err != nil {
		return nil, err
	}
	dtypes, err := parseDTypes(f.DType, "")
	if err != nil {
		return nil, err
	}
	if len(dtypes) == 0 {
		return nil, cli.Usagef("--dtype is empty: expected f32, f16, or both")
	}
	for _, d := range dtypes {
		if d != backend.F32 && d != backend.F16 {
			return nil, cli.Usagef("--dtype=%v: models are trained in f32 or f16", d)
		}
	}
	for _, m := range models {
		step := bench.TrainStep(m)
		if f.Batch != -1 {
			step.Batch = f.Batch
		}
		if f.Time != -1 {
			step.Time = f.Time
		}
		step.Accumulate, step.Recompute = f.Accumulate, f.Recompute
		if err := step.Check(m.Config); err != nil {
			return nil, cli.Usagef("model %s: %w", m.Name, err)
		}
		for _, d := range dtypes {
			all = append(all, workload{m, step, d})
		}
	}
	return all, nil
}

func (f *trainCommand) on(ctx context.Context, d *bench.Device, work []workload, peers []bench.Peer) (all []bench.Record, failed error) {
	for _, w := range work {
		p := newProgress(fmt.Sprintf("%s training of %s", d.Spec(), w.model.Name), w.dtype)
		results, err := d.Train(ctx, w.model, w.step, peers, bench.PeerOptions{
			Options: bench.Options{Repetitions: f.Repetitions, DType: w.dtype, Ceilings: f.Ceilings, Progress: p.step},
			Threads: runtime.GOMAXPROCS(0), Timeout: f.Timeout,
		})
		p.end()
		all = append(all, bench.Records(results)...)
		for _, r := range results {
			if r.Failure != "" {
				notMeasured(fmt.Errorf("%s beside %s %s on %s: %s", r.Peer, r.ModelType, r.DType, r.Device, r.Failure))
			}
		}
		if errors.Is(err, bench.ErrUnsupported) {
			notMeasured(err)
			continue
		}
		failed = errors.Join(failed, w.withFlags(err))
		if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
			return all, failed
		}
	}
	return all, failed
}

// withFlags adds to the error of a step that has no place in memory the flags
// that would give it one.
func (w workload) withFlags(err error) error {
	var e *gpt.TrainMemoryError
	if !errors.As(err, &e) {
		return err
	}
	var fits []string
	if e.Batch > 0 {
		fits = append(fits, fmt.Sprintf("--batch=%d", e.Batch))
	}
	switch {
	case e.Recompute >= w.step.Batch:
		fits = append(fits, "--recompute")
	case e.Recompute > e.Batch:
		fits = append(fits, fmt.Sprintf("--recompute --batch=%d", e.Recompute))
	}
	if len(fits) == 0 {
		return fmt.Errorf("%w: not even one sequence of %d tokens fits: take a smaller --time or model, or another device", err, w.step.Time)
	}
	return fmt.Errorf("%w: what fits is %s", err, strings.Join(fits, ", or "))
}
