// Package chat is the command that has a conversation with a model:
//
//	caldera chat -m HuggingFaceTB/SmolLM2-135M-Instruct
//
// chat.go has the flags, run.go loads the model and goes from turn to turn, turn.go prints an
// answer as it comes, commands.go has what begins with a slash, saved.go the files of
// conversations, input.go reads lines from a terminal or a pipe.
package chat

import (
	"math"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/cli"
	"caldera/models"
)

type flags struct {
	cli.Hardware   `group:"Hardware"`
	cli.ListJSON   `group:"Hardware"`
	cli.ModelFlags `group:"Model"`

	Words            []string `arg:"" optional:"" name:"message" help:"The first message."`
	System           string   `group:"Chat" aliases:"system-prompt" empty:"" placeholder:"TEXT" help:"What the system says before the conversation."`
	Load             string   `group:"Chat" placeholder:"FILE" help:"Go on with a conversation that /save has saved."`
	cli.ChatTemplate `group:"Chat"`
	cli.Thinking     `group:"Chat"`
	Reasoning        string `group:"Chat" enum:"show,hide" default:"show" placeholder:"HOW" help:"What to do with what the model writes for itself before it answers: show (faint on a terminal, else on standard error) or hide (${default})."`
	Color            string `group:"Chat" enum:"auto,always,never" default:"auto" placeholder:"WHEN" help:"Print reasoning faint: auto (on a terminal, unless NO_COLOR is set), always or never (${default})."`

	Sampling cli.Sampling `embed:"" group:"Sampling"`

	Predict   int    `short:"n" aliases:"n-predict,num-predict,max-tokens,max-new-tokens" default:"-1" placeholder:"N" help:"The most tokens of an answer; -1: until the model ends it (${default})."`
	CtxSize   int    `short:"c" aliases:"n-ctx,num-ctx,context" placeholder:"N" help:"Positions that the context holds (default: as many as the model can). When it is full the first messages leave it; what the system says stays."`
	CacheType string `aliases:"cache-type-k,cache-type-v" enum:"auto,${caches}" default:"auto" placeholder:"TYPE" help:"Keep keys and values as one of ${caches} (auto: f16, or f32 where matrices are)."`
	Verbose   bool   `short:"v" help:"End each answer with timings on standard error."`
}

// Help returns the text that kong prints below the command's flags.
func (f *flags) Help() string {
	return "Each line is a message; one that ends in \\ goes on in the next line. Lines that begin with a slash are commands:\n\n" + help() +
		"\nCtrl-C stops an answer; a second one, or one at the prompt, ends the program, as the end of input does."
}

// cache is the dtype of keys and values, which the parser of flags has checked; None: auto.
func (f *flags) cache() backend.DType {
	d, _ := backend.ParseDType(f.CacheType, backend.Caches)
	return d
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
	return gpt.Options{Sampling: s, Predict: max(0, f.Predict)}, nil
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "chat", Help: "Have a conversation with a model, on the CPU or on any GPU with Vulkan.",
		Flags: &flags{}, Vars: cli.Vars(kong.Vars{"embedded": models.Name}), Foreign: foreign, Interrupts: true,
	}
}

// foreign are flags of llama.cpp, ollama and Hugging Face's libraries that have another name
// here, or none.
var foreign = cli.Foreign(map[string]string{
	"--device":     "-dev",
	"--cache-type": "-ctk -ctv",
	"--temp":       "-temp",
	"--temp=0":     "--greedy",
	"--ctx-size":   "--context-length --context-size --max-context",
	"--predict":    "--length --max-completion-tokens",
	"--threads":    "--num-thread",
	"--model":      "--model-path --model-name-or-path --model-dir -hf --hf-repo",
	"--system":     "-sys",
	"--color":      "--colour",
	"--dtype":      "--torch-dtype --type",
	"--reasoning":  "--reasoning-format",
	"--thinking":   "--think --enable-thinking --reasoning-budget",
	cli.HubToken:   "-hft --hf-token",
	cli.OneDevice:  "-ngl --n-gpu-layers --gpu-layers --num-gpu -sm --split-mode -ts --tensor-split -mg --main-gpu --device-map --gpus",
	cli.Automatic: "-fa --flash-attn -b --batch-size -ub --ubatch-size --mlock --mmap --no-mmap -tb --threads-batch --no-warmup --log-disable --simple-io" +
		" -cnv --conversation -i --interactive --interactive-first --jinja --no-jinja --numa --prio --poll",
	cli.Positions: "--rope-freq-base --rope-freq-scale --yarn-orig-ctx --yarn-ext-factor --yarn-attn-factor --yarn-beta-slow --yarn-beta-fast",
	"name the file behind the model: -m org/name:file":     "-hff --hf-file",
	"give the first message as an argument, or on a line":  "-p --prompt -f --file",
	"see caldera generate --chat, which has one message":   "-st --single-turn --json-stream",
	"caldera generate continues a text without a template": "-no-cnv --no-conversation",
})
