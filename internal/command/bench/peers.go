package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

// peerGen is how many tokens are generated where -n does not say.
const peerGen = 64

type peersCommand struct {
	hardwareFlags `group:"Hardware"`

	Model []string `group:"Model" short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout, or GGUF files."`
	Shape []string `group:"Model" placeholder:"NAME" help:"Models of these shapes with random weights: ${shapes} (default: gpt2)."`
	DType []string `group:"Model" name:"dtype" default:"${dtypes}" placeholder:"TYPE" help:"Types of matrices, on both sides: ${weights} (${default})."`

	Peer    []string      `group:"Peers" placeholder:"NAME" help:"Peers to measure beside: ${peers} (default: all)."`
	Llama   string        `group:"Peers" name:"node-llama-cpp" env:"CALDERA_LLAMA" placeholder:"DIR" help:"Where node-llama-cpp is, as scripts/peers.sh llama prints it (default: where that script puts it)."`
	Python  string        `group:"Peers" placeholder:"PATH" help:"Python that has PyTorch (default: python3, or /usr/bin/python3)."`
	Timeout time.Duration `group:"Peers" default:"2m" placeholder:"TIME" help:"End a peer that needs longer for a reply: starting, loading, one repetition (${default})."`

	Prompt      []int `group:"Test" short:"p" placeholder:"N" help:"Measure reading prompts of N tokens; 0: none (default: ${prompt}, or what the context holds)."`
	Gen         []int `group:"Test" name:"n-gen" short:"n" placeholder:"N" help:"Measure generating N tokens; 0: none (default: 64, or what the context holds)."`
	repetitions `group:"Test"`

	outputFlags `group:"Output"`
}

// Run measures all models and dtypes on one device after the other.
func (f *peersCommand) Run(ctx context.Context) error {
	if listed, err := f.ListJSON.List(f.ListDevices); listed || err != nil {
		return err
	}
	if err := f.repetitions.check(); err != nil {
		return err
	}
	if f.Timeout <= 0 {
		return cli.Usagef("--timeout=%v: expected more than 0, such as 2m", f.Timeout)
	}
	peers, err := bench.FindPeers(f.Peer, bench.PeerPlaces{Llama: f.Llama, Python: f.Python})
	if err != nil {
		return cli.Usagef("--peer: %w", err)
	}
	j, err := f.job()
	if err != nil {
		return err
	}
	return f.report(func() ([]bench.Record, error) {
		all, failed := open(ctx, j.devices, func(d *bench.Device) ([]bench.Record, error) {
			return f.on(ctx, d, j, peers)
		})
		if failed == nil && !measured(all) {
			failed = errors.New("no peer was measured: the lines above say what each lacks")
		}
		return all, failed
	})
}

// job checks all that can be checked before anything is measured.
func (f *peersCommand) job() (j job, err error) {
	flags := modelFlags{Model: f.Model, Shape: f.Shape, DType: f.DType}
	if len(f.Model)+len(f.Shape) == 0 {
		flags.Shape = []string{"gpt2"}
	}
	if j.dtypes, err = parseDTypes(f.DType, ""); err != nil {
		return j, err
	}
	if j.models, err = flags.models(); err != nil {
		return j, err
	}
	for _, m := range j.models {
		gen := f.Gen
		if gen == nil {
			gen = []int{min(peerGen, m.Config.Context)}
		}
		tests, err := bench.Tests(m.Config, f.Prompt, gen, nil)
		if err != nil {
			return j, cli.Usagef("model %s: %w", m.Name, err)
		}
		j.tests = append(j.tests, tests)
	}
	j.devices, err = f.find()
	return j, err
}

func (f *peersCommand) on(ctx context.Context, d *bench.Device, j job, peers []bench.Peer) (all []bench.Record, failed error) {
	for i, m := range j.models {
		for _, dtype := range j.dtypes {
			p := newProgress(fmt.Sprintf("%s %s", d.Spec(), m.Name), dtype)
			results, err := d.Peers(ctx, m, j.tests[i], peers, bench.PeerOptions{
				Options: bench.Options{Repetitions: f.Repetitions, DType: dtype, Progress: p.step},
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
			failed = errors.Join(failed, err)
			if ctx.Err() != nil || errors.Is(err, backend.ErrDeviceLost) {
				return all, failed
			}
		}
	}
	return all, failed
}

// measured reports whether a peer was.
func measured(records []bench.Record) bool {
	for _, r := range records {
		if p, ok := r.(*bench.PeerResult); ok && p.Failure == "" {
			return true
		}
	}
	return false
}
