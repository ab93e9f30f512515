// Package generate is the command that continues a text with a GPT, on the CPU
// or on a GPU:
//
//	generate -p "It is a truth universally acknowledged"
//
// generate.go has the flags, prompt.go finds what to continue, run.go generates
// it, output.go writes the text as it comes, report.go is what --json, --logprobs
// and --verbose print.
package generate

import (
	"math"
	"math/rand/v2"
	"strings"

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

	Predict   int    `short:"n" aliases:"n-predict,num-predict,max-tokens,max-new-tokens" default:"128" placeholder:"N" help:"How many tokens to generate; -1: until the model ends the text (${default})."`
	CtxSize   int    `short:"c" aliases:"n-ctx,num-ctx,context" placeholder:"N" help:"Positions that the context holds (default: as many as the model can). When it is full the older half leaves it."`
	CacheType string `aliases:"cache-type-k,cache-type-v" enum:"f32,f16" default:"f32" placeholder:"TYPE" help:"Keep keys and values as f32 or f16 (${default})."`
	IgnoreEOS bool   `name:"ignore-eos" help:"Never let the model end the text."`

	Stop []string `short:"r" aliases:"reverse-prompt" sep:"none" placeholder:"TEXT" help:"End before this text, which is not printed; may be given several times."`

	JSON       bool   `name:"json" xor:"json" help:"Print one JSON object in place of the text: ids, log-probabilities, timings, device."`
	JSONStream bool   `name:"json-stream" xor:"json" help:"Print a JSON object a token as it comes, a line each, and at the end what --json prints, as {\"done\": …}."`
	LogProbs   int    `name:"logprobs" aliases:"n-probs,top-logprobs" placeholder:"N" help:"Tell of the N likeliest tokens at each place their log-probabilities: in the JSON, else in a table on standard error."`
	Color      string `enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Print the prompt faint: auto (on a terminal, unless NO_COLOR is set), always or never (${default})."`
	Verbose    bool   `short:"v" help:"End with timings on standard error."`
}

// maxLogProbs bounds how many tokens are listed for each one generated.
const maxLogProbs = 1000

var cacheTypes = map[string]backend.DType{"f32": backend.F32, "f16": backend.F16}

type samplingFlags struct {
	Temp          float64 `aliases:"temperature" default:"0.8" placeholder:"T" help:"Temperature: 0 takes the likeliest token, higher is bolder (${default})."`
	TopK          int     `default:"40" placeholder:"K" help:"Draw from the K likeliest tokens; 0: from all (${default})."`
	TopP          float64 `default:"0.95" placeholder:"P" help:"Draw from the fewest tokens whose probabilities reach P; 1: off (${default})."`
	MinP          float64 `default:"0.05" placeholder:"P" help:"Leave out tokens less likely than P times the likeliest; 0: off (${default})."`
	RepeatPenalty float64 `aliases:"repetition-penalty" default:"1" placeholder:"R" help:"Divide the scores of recent tokens by R; 1: off (${default})."`
	RepeatLastN   int     `name:"repeat-last-n" default:"64" placeholder:"N" help:"How many recent tokens are penalised (${default})."`
	Seed          int64   `short:"s" aliases:"random-seed" default:"-1" placeholder:"N" help:"The same seed, model and device give the same text; -1: a random one (${default})."`
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
	if f.LogProbs < 0 || f.LogProbs > maxLogProbs {
		return gpt.Options{}, cli.Usagef("--logprobs=%d: expected 0 to %d", f.LogProbs, maxLogProbs)
	}
	return gpt.Options{Sampling: s, Predict: f.Predict, IgnoreEOS: f.IgnoreEOS, LogProbs: f.LogProbs}, nil
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "generate", Help: "Continue a text with a GPT, on the CPU or on any GPU with Vulkan.",
		Flags: &flags{}, Vars: kong.Vars{"embedded": models.Name}, Foreign: foreign,
	}
}

// foreign are flags of llama.cpp, ollama and Hugging Face's libraries that have
// another name here, or none.
var foreign = func() map[string]string {
	const (
		wholeModel = "the whole model is on one device: choose it with --backend and --device, and leave this out"
		automatic  = "this is chosen by itself: leave it out"
		noChat     = "a text is continued, there is no chat: give it with -p, -f or standard input"
		noFetch    = "nothing is fetched from the network: download the model, and name its directory or GGUF file with -m"
		noSampler  = "there is no such sampler: see --temp, --top-k, --top-p, --min-p and --repeat-penalty"
	)
	m := map[string]string{
		"-dev": "--device", "-ctk": "--cache-type", "-ctv": "--cache-type", "-temp": "--temp",
		"-e":          "text is taken as it is: write a line break as your shell does, in bash $'\\n'",
		"--do-sample": "sampling is on unless --temp=0",
		"--stream":    "text is always printed as it comes; see --json-stream",
	}
	for message, flags := range map[string]string{
		wholeModel: "-ngl --n-gpu-layers --gpu-layers --num-gpu -sm --split-mode -ts --tensor-split -mg --main-gpu",
		automatic:  "-fa --flash-attn -b --batch-size -ub --ubatch-size --mlock --no-mmap -tb --threads-batch --no-warmup --log-disable --simple-io",
		noChat:     "-i --interactive -cnv --conversation -no-cnv --no-conversation -st --single-turn -sys --system-prompt --chat-template",
		noFetch:    "-hf --hf-repo -hff --hf-file -mu --model-url",
		noSampler:  "--mirostat --typical --dynatemp-range --xtc-probability --dry-multiplier --presence-penalty --frequency-penalty --num-beams --grammar --logit-bias",
	} {
		for flag := range strings.FieldsSeq(flags) {
			m[flag] = message
		}
	}
	return m
}()
