// Command generate continues a text with a GPT, on the CPU or on a GPU:
//
//	generate -p "It is a truth universally acknowledged"
//
// main.go has the flags, prompt.go finds what to continue, run.go generates
// and writes it, report.go is the output of --json and --verbose.
package main

import (
	"context"
	"math"
	"math/rand/v2"
	"os"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/cli"
	"caldera/models"

	"github.com/alecthomas/kong"
)

type flags struct {
	cli.Hardware   `group:"Hardware"`
	cli.ModelFlags `group:"Model"`
	Prompt         promptFlags   `embed:"" group:"Prompt"`
	Sampling       samplingFlags `embed:"" group:"Sampling"`

	Predict   int    `short:"n" default:"128" placeholder:"N" help:"How many tokens to generate; -1: until the model ends the text (${default})."`
	CtxSize   int    `short:"c" placeholder:"N" help:"Positions that the context holds (default: as many as the model can). When it is full the older half leaves it."`
	CacheType string `enum:"f32,f16" default:"f32" placeholder:"TYPE" help:"Keep keys and values as f32 or f16 (${default})."`
	IgnoreEOS bool   `name:"ignore-eos" help:"Never let the model end the text."`

	JSON    bool `name:"json" help:"Print one JSON object in place of the text: ids, log-probabilities, timings, device."`
	Verbose bool `short:"v" help:"End with the seed and timings on standard error."`
}

var cacheTypes = map[string]backend.DType{"f32": backend.F32, "f16": backend.F16}

type samplingFlags struct {
	Temp          float64 `default:"0.8" placeholder:"T" help:"Temperature: 0 takes the likeliest token, higher is bolder (${default})."`
	TopK          int     `default:"40" placeholder:"K" help:"Draw from the K likeliest tokens; 0: from all (${default})."`
	TopP          float64 `default:"0.95" placeholder:"P" help:"Draw from the fewest tokens whose probabilities reach P; 1: off (${default})."`
	MinP          float64 `default:"0.05" placeholder:"P" help:"Leave out tokens less likely than P times the likeliest; 0: off (${default})."`
	RepeatPenalty float64 `default:"1" placeholder:"R" help:"Divide the scores of recent tokens by R; 1: off (${default})."`
	RepeatLastN   int     `name:"repeat-last-n" default:"64" placeholder:"N" help:"How many recent tokens are penalised (${default})."`
	Seed          int64   `short:"s" default:"-1" placeholder:"N" help:"The same seed, model and device give the same text; -1: a random one (${default})."`
}

func (f samplingFlags) sampling() (gpt.Sampling, error) {
	if f.Seed < -1 {
		return gpt.Sampling{}, cli.Usagef("--seed=%d: expected 0 or more, or -1 for a random one", f.Seed)
	}
	seed := uint64(f.Seed)
	if f.Seed == -1 {
		seed = uint64(rand.Uint32()) // which JSON readers that know doubles alone keep
	}
	s := gpt.Sampling{
		Temperature: f.Temp, TopK: f.TopK, TopP: f.TopP, MinP: f.MinP,
		RepeatPenalty: f.RepeatPenalty, RepeatLastN: f.RepeatLastN, Seed: seed,
	}
	if err := s.Validate(); err != nil {
		return s, cli.UsageError{Err: err}
	}
	if s.RepeatPenalty == 0 {
		return s, cli.Usagef("repeat penalty: found 0, expected a number above 0; 1 is off")
	}
	if s.TopP == 0 { // which is off in package gpt; the most probable token alone, as llama.cpp has it
		s.TopP = math.SmallestNonzeroFloat64
	}
	return s, nil
}

func (f *flags) options() (gpt.Options, error) {
	s, err := f.Sampling.sampling()
	if err != nil {
		return gpt.Options{}, err
	}
	if f.Predict == 0 || f.Predict < -1 || f.Predict > math.MaxInt32 {
		return gpt.Options{}, cli.Usagef("--predict=%d: expected 1 to %d, or -1 for no limit", f.Predict, math.MaxInt32)
	}
	if f.CtxSize < 0 {
		return gpt.Options{}, cli.Usagef("--ctx-size=%d: expected at least 1, or 0 for what the model can", f.CtxSize)
	}
	return gpt.Options{Sampling: s, Predict: f.Predict, IgnoreEOS: f.IgnoreEOS}, nil
}

func main() {
	f := &flags{}
	os.Exit(cli.Main(f, "Continue a text with a GPT, on the CPU or on any GPU with Vulkan.",
		func(ctx context.Context) error { return run(ctx, f) },
		kong.Vars{"embedded": models.Name}))
}
