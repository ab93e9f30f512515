package bench

import (
	"context"
	"time"

	"caldera/backend"
	"caldera/backend/cpu"
	"caldera/internal/bench"
	"caldera/internal/bench/peer"
	"caldera/internal/bench/result"
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
	Parallel    []int `group:"Test" short:"b" placeholder:"N" help:"Measure N sequences at once, in a batch, beside peers that have such; several for one after the other (llama.cpp's -npl; default: one sequence)."`
	repetitions `group:"Test"`

	outputFlags `group:"Output"`
}

// Run measures all models and dtypes on one device after the other.
func (f *peersCommand) Run(ctx context.Context) error {
	o := bench.PeerOptions{Timeout: f.Timeout}
	var list [][]bench.Test
	prepare := func(j *job) (err error) {
		if f.Timeout <= 0 {
			return cli.Usagef("--timeout=%v: expected more than 0, such as 2m", f.Timeout)
		}
		if o.Peers, err = peer.Find(f.Peer, peer.Places{Llama: f.Llama, Python: f.Python}); err != nil {
			return cli.Usagef("--peer: %w", err)
		}
		flags := modelFlags{Model: f.Model, Shape: f.Shape, DType: f.DType}
		if len(f.Model)+len(f.Shape) == 0 {
			flags.Shape = []string{"gpt2"}
		}
		if j.dtypes, err = parseDTypes(f.DType, backend.Targets, ""); err != nil {
			return err
		}
		if j.models, err = flags.models(ctx); err != nil {
			return err
		}
		for _, m := range j.models {
			gen := f.Gen
			if gen == nil {
				gen = []int{min(peerGen, m.Config.Context)}
			}
			one, err := tests([]bench.Model{m}, f.Prompt, gen, nil, f.Parallel)
			if err != nil {
				return err
			}
			list = append(list, one...)
		}
		return nil
	}
	return f.hardwareFlags.run(ctx, &f.outputFlags, f.repetitions, prepare, func(p piece) ([]result.Record, error) {
		o.Options, o.Threads = p.Options, cpu.Threads()
		results, err := p.device.Peers(ctx, p.model, list[p.i], o)
		return result.Records(results), err
	})
}
