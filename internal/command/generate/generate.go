// Package generate is the command that continues a text with a GPT, on the CPU
// or on a GPU:
//
//	generate -p "It is a truth universally acknowledged"
//
// generate.go has the flags. run.go loads the model and generates one text; parallel.go
// generates several answers to one prompt at once; each.go answers many prompts, which
// prompts.go reads. draft.go has what guesses tokens. output.go writes text as it comes, report.go is what --json,
// --logprobs and --verbose print, progress.go tells on a terminal how far it is.
package generate

import (
	"fmt"
	"math"
	"strconv"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/cli"
	"caldera/models"

	"github.com/alecthomas/kong"
)

type flags struct {
	cli.Hardware     `group:"Hardware"`
	cli.ModelFlags   `group:"Model"`
	Prompt           cli.Prompt `embed:"" group:"Prompt"`
	Prompts          *string    `xor:"prompt" group:"Prompt" placeholder:"FILE" help:"Answer many prompts: a file, - for standard input, with one in each line. Blank lines are skipped. In a file that ends in .jsonl a line is a JSON string, or an object with a prompt, text or ids, and perhaps an id, which comes back. The results are JSON objects, a line each, in the order in which they end; that of line L has seed S + L - 1."`
	Chat             bool       `group:"Chat" help:"Take the prompt as a message, in the model's chat template, and print its answer. For a conversation see caldera chat."`
	System           string     `group:"Chat" aliases:"system-prompt" empty:"" placeholder:"TEXT" help:"With --chat: what the system says before the message."`
	cli.ChatTemplate `group:"Chat"`
	cli.Thinking     `group:"Chat"`
	Hide             bool         `name:"no-display-prompt" group:"Prompt" help:"Print what is generated, without the prompt before it."`
	Sampling         cli.Sampling `embed:"" group:"Sampling"`

	Predict   int    `short:"n" aliases:"n-predict,num-predict,max-tokens,max-new-tokens" default:"128" placeholder:"N" help:"How many tokens to generate; -1: until the model ends the text (${default})."`
	CtxSize   int    `short:"c" aliases:"n-ctx,num-ctx,context" placeholder:"N" help:"Positions that the context holds (default: as many as the model can). When it is full the older half leaves it, but for --keep."`
	CacheType string `aliases:"cache-type-k,cache-type-v" enum:"auto,${caches}" default:"auto" placeholder:"TYPE" help:"Keep keys and values as one of ${caches} (auto: f16, or f32 where matrices are)."`
	Keep      *int   `aliases:"n-keep,num-keep" placeholder:"N" help:"How many of the first tokens stay when the context is full, at most half of it; -1: the prompt (default: those that begin a text, and with --chat what the system says)."`
	IgnoreEOS bool   `name:"ignore-eos" help:"Never let the model end the text."`

	Stop []string `short:"r" aliases:"reverse-prompt" sep:"none" placeholder:"TEXT" help:"End before this text, which is not printed; may be given several times."`

	Parallel *int `aliases:"n-parallel,num-return-sequences,num-samples" placeholder:"N" help:"Generate N answers to the prompt at once, which share its memory (1). The first has seed S, the next S + 1, and so on: --seed=S+1 alone gives the second one, unless two tokens are as good as equally likely. With --prompts: how many prompts are answered at once (16, or fewer if memory is short)."`

	Draft    *string `aliases:"model-draft" placeholder:"MODEL" help:"Guess the next tokens, and have the model check several in one step: the same text, sooner where guesses are right. ngrams guesses what followed the same tokens before, in the prompt or in the text; a path (as of --model) is that of a smaller model with the same tokenizer."`
	DraftMax *int    `aliases:"draft-n,draft-tokens,num-assistant-tokens" placeholder:"N" help:"Read at most N guesses in a step, 1 to ${guesses} (${guesses}). It reads fewer where more would not pay."`

	JSON       bool   `name:"json" xor:"json" help:"Print one JSON object in place of the text: ids, log-probabilities, timings, device."`
	JSONStream bool   `name:"json-stream" xor:"json" help:"Print a JSON object a token as it comes, a line each, and at the end what --json prints, as {\"done\": …}. Of several answers, \"answer\" is the place of its own among them, from 0."`
	LogProbs   int    `name:"logprobs" aliases:"n-probs,top-logprobs" placeholder:"N" help:"Tell of the N likeliest tokens at each place their log-probabilities: in the JSON, else in a table on standard error."`
	Color      string `enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Print the prompt faint: auto (on a terminal, unless NO_COLOR is set), always or never (${default})."`
	Verbose    bool   `short:"v" help:"End with timings on standard error."`
}

// maxLogProbs bounds how many tokens are listed for each one generated.
const maxLogProbs = 1000

// cache is the dtype of keys and values, which the parser of flags has checked; None: auto.
func (f *flags) cache() backend.DType {
	d, _ := backend.ParseDType(f.CacheType, backend.Caches)
	return d
}

// keep is how many of a prompt's tokens stay in a full context.
func (f *flags) keep(ids []int, l loaded) int {
	switch {
	case f.Keep == nil:
		return f.Prompt.Beginning(ids, l.model.Config, l.tokenizer)
	case *f.Keep < 0:
		return len(ids)
	}
	return *f.Keep
}

// forgotten says what left a full context of so many tokens, of which the first may stay.
func forgotten(size, keep, times int) string {
	stayed := ""
	if keep = min(keep, size/2); keep > 0 {
		stayed = fmt.Sprintf(", but for the first %d", keep)
	}
	return fmt.Sprintf("the context of %d tokens was full: its older half was forgotten%s (%d times)", size, stayed, times)
}

func (f *flags) options() (gpt.Options, error) {
	s, err := f.Sampling.Settings()
	if err != nil {
		return gpt.Options{}, err
	}
	if f.Predict == 0 || f.Predict < -1 || f.Predict > math.MaxInt32 {
		return gpt.Options{}, cli.Usagef("--predict=%d: expected 1 to %d, or -1 for no limit", f.Predict, math.MaxInt32)
	}
	if f.CtxSize < 0 {
		return gpt.Options{}, cli.Usagef("--ctx-size=%d: expected at least 1, or 0 for what the model can", f.CtxSize)
	}
	if f.Keep != nil && (*f.Keep < -1 || *f.Keep > math.MaxInt32) {
		return gpt.Options{}, cli.Usagef("--keep=%d: expected 0 to %d, or -1 for the prompt", *f.Keep, math.MaxInt32)
	}
	if f.Parallel != nil && (*f.Parallel < 1 || *f.Parallel > gpt.MaxChunk) {
		return gpt.Options{}, cli.Usagef("--parallel=%d: expected 1 to %d", *f.Parallel, gpt.MaxChunk)
	}
	if f.LogProbs < 0 || f.LogProbs > maxLogProbs {
		return gpt.Options{}, cli.Usagef("--logprobs=%d: expected 0 to %d", f.LogProbs, maxLogProbs)
	}
	if !f.Chat && (f.System != "" || f.ChatTemplate.ChatTemplate != "" || f.Thinking.Thinking != "auto") {
		return gpt.Options{}, cli.Usagef("--system, --chat-template and --thinking go with --chat")
	}
	if f.Chat && f.Prompt.Tokens != nil {
		return gpt.Options{}, cli.Usagef("--chat with --tokens: a message is text; give it with -p, -f or standard input")
	}
	if err := f.checkDraft(); err != nil {
		return gpt.Options{}, err
	}
	return gpt.Options{Sampling: s, Predict: f.Predict, IgnoreEOS: f.IgnoreEOS, LogProbs: f.LogProbs, Guesses: f.guesses()}, nil
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "generate", Help: "Continue a text with a GPT, on the CPU or on any GPU with Vulkan.",
		Flags: &flags{}, Vars: cli.Vars(kong.Vars{"embedded": models.Name, "guesses": strconv.Itoa(gpt.MaxGuesses)}), Foreign: foreign,
	}
}

// foreign are flags of llama.cpp, ollama, nanoGPT and Hugging Face's libraries that
// have another name here, or none.
var foreign = cli.Foreign(map[string]string{
	"--device":       "-dev",
	"--cache-type":   "-ctk -ctv",
	"--temp":         "-temp",
	"--temp=0":       "--greedy",
	"--top-k":        "--k",
	"--top-p":        "--p",
	"--seed":         "--rng-seed",
	"--predict":      "--length --max-completion-tokens --num-tokens --tokens-predict",
	"--ctx-size":     "--context-length --context-size --max-context",
	"--threads":      "--num-thread",
	"--model":        "--model-path --model-name-or-path --model-dir --ckpt --checkpoint -hf --hf-repo -mu --model-url",
	"--prompt":       "--start --input --text",
	"--prompts":      "--prompts-file --prompt-list",
	"--draft":        "-md --draft-model --assistant-model --speculative-model --spec-model",
	"--draft-max":    "--num-speculative-tokens --draft-num --spec-draft-n-max",
	"--draft=ngrams": "--prompt-lookup-num-tokens",
	"--parallel":     "-np --num-completions",
	"--file":         "--prompt-file --input-file",
	"--stop":         "--stop-sequence --stop-sequences --stop-token --stop-string --stop-strings",
	"--color":        "--colour",
	"--dtype=f16":    "--fp16 --half",
	"--dtype":        "--torch-dtype --type",
	"--backend=cpu":  "--cpu --no-cuda --use-cpu",

	cli.OneDevice: "-ngl --n-gpu-layers --gpu-layers --num-gpu -sm --split-mode -ts --tensor-split -mg --main-gpu --device-map --gpus",
	cli.Automatic: "-fa --flash-attn -b --batch-size -ub --ubatch-size --mlock --mmap --no-mmap -tb --threads-batch --no-warmup --log-disable --simple-io" +
		" -nkvo --no-kv-offload -kvu --numa --jinja -no-perf --no-perf --prio --poll --keepalive --nowordwrap --use-cache --num-batch --compile",
	"how many guesses pay is found out while the text comes: see --draft-max": "--draft-min --draft-p-min --draft-p-split --spec-draft-n-min --spec-draft-p-min",
	"a draft model computes where the model does, with its context":           "-devd --device-draft -cd --ctx-size-draft -ngld --gpu-layers-draft --n-gpu-layers-draft -td --threads-draft",
	cli.HubToken: "-hft --hf-token",
	"name the file behind the model: -m org/name:file": "-hff --hf-file",
	"--system": "-sys",
	"--chat":   "-st --single-turn",
	"caldera chat has conversations; --chat takes the prompt as one message": "-i --interactive --interactive-first -cnv --conversation --instruct",
	"a prompt without --chat is continued as it is: leave it out":            "-no-cnv --no-conversation --in-prefix --in-suffix",
	"there is no such sampler: see --temp, --top-k, --top-p, --min-p and --repeat-penalty": "--mirostat --mirostat-lr --mirostat-ent --mirostat-eta" +
		" --mirostat-tau --typical --typical-p --tfs-z --tfs --dynatemp-range --dynatemp-exp --xtc-probability --xtc-threshold --dry-multiplier --top-n-sigma" +
		" --presence-penalty --frequency-penalty --num-beams --grammar --grammar-file --json-schema --logit-bias --samplers --sampling-seq --penalize-nl" +
		" --no-repeat-ngram-size --length-penalty --penalty-alpha",
	cli.Positions: "--rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast",
	"--lora":      "--lora-scaled --adapter --adapter-path",
	"say with --predict how many tokens follow the prompt":                          "--max-length --max-len --max-seq-len",
	"text is printed on standard output: write > FILE behind it":                    "-o --out --output --output-file",
	"say --json, or --json-stream for an object a token":                            "--format --output-format",
	"see prompt_ids of --json":                                                      "--verbose-prompt",
	"when the context is full its older half leaves it, but for --keep":             "--no-context-shift --context-shift",
	"choose with --backend=vulkan, or --device":                                     "--gpu --cuda --use-gpu",
	"sampling is on unless --temp=0":                                                "--do-sample",
	"text is always printed as it comes; see --json-stream":                         "--stream",
	"text is taken as it is: write a line break as your shell does, in bash $'\\n'": "-e --escape",
})
