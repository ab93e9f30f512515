package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/gpt"
	"caldera/internal/bench"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
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

// Run measures all models on one device after the other.
func (f *trainCommand) Run(ctx context.Context) error {
	o := bench.PeerOptions{Timeout: f.Timeout}
	var steps []bench.Training // of each model
	prepare := func(j *job) (err error) {
		j.what, j.options.Ceilings = "training of", f.Ceilings
		if f.Timeout <= 0 {
			return cli.Usagef("--timeout=%v: expected more than 0, such as 5m", f.Timeout)
		}
		if o.Peers, err = peer.FindTrainers(f.Peer, peer.Places{Python: f.Python}); err != nil {
			return cli.Usagef("--peer: %w", err)
		}
		if j.models, err = (&modelFlags{Model: f.Model, Shape: f.shapes()}).models(ctx); err != nil {
			return err
		}
		if j.dtypes, err = f.dtypes(); err != nil {
			return err
		}
		for _, m := range j.models {
			step := bench.TrainStep(m)
			if f.Batch != -1 {
				step.Batch = f.Batch
			}
			if f.Time != -1 {
				step.Time = f.Time
			}
			step.Accumulate, step.Recompute = f.Accumulate, f.Recompute
			if err := step.Check(m.Config.Context); err != nil {
				return cli.Usagef("model %s: %w", m.Name, err)
			}
			steps = append(steps, step)
		}
		return nil
	}
	return f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, prepare, func(p piece) ([]result.Record, error) {
		o.Options, o.Threads = p.Options, cpu.Threads()
		results, err := p.device.Train(ctx, p.model, steps[p.i], o)
		return result.Records(results), withFlags(err, steps[p.i])
	})
}

// shapes are those that are asked for, or two where no model is.
func (f *trainCommand) shapes() []string {
	if len(f.Model)+len(f.Shape) == 0 {
		return []string{"nanogpt", "gpt2"}
	}
	return f.Shape
}

func (f *trainCommand) dtypes() ([]backend.DType, error) {
	dtypes, err := parseDTypes(f.DType, backend.Targets, "")
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
	return dtypes, nil
}

// withFlags adds to the error of a step that has no place in memory the flags
// that would give it one.
func withFlags(err error, step bench.Training) error {
	var e *gpt.TrainMemoryError
	if !errors.As(err, &e) {
		return err
	}
	var fits []string
	if e.Batch > 0 {
		fits = append(fits, fmt.Sprintf("--batch=%d", e.Batch))
	}
	switch {
	case e.Recompute >= step.Batch:
		fits = append(fits, "--recompute")
	case e.Recompute > e.Batch:
		fits = append(fits, fmt.Sprintf("--recompute --batch=%d", e.Recompute))
	}
	if len(fits) == 0 {
		return fmt.Errorf("%w: not even one sequence of %d tokens fits: take a smaller --time or model, or another device", err, step.Time)
	}
	return fmt.Errorf("%w: what fits is %s", err, strings.Join(fits, ", or "))
}
