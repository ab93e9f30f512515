// Package train is the command that makes a model, and what it is made of:
//
//	train --data=novels/ --out_dir=austen
//	train tokenizer --vocab-size=2048 -o novels/ austen/*.txt
//
// Each command below train has a file of its name: its flags and its wiring. Of
// train run, options.go has the flags of training, data.go what is learned from,
// report.go what is told and shown. texts.go finds texts, progress.go tells on a
// terminal how far it is. How a model is trained is in packages train and gpt,
// how a vocabulary is made in package tokenizer.
package train

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"caldera/gpt/model"
	"caldera/internal/cli"
)

type commands struct {
	Run       runCommand       `cmd:"" default:"withargs" help:"Train a model on texts, from random weights or those of a checkpoint."`
	Tokenizer tokenizerCommand `cmd:"" help:"Make a tokenizer of texts: byte-level BPE as GPT-2's, or a token for each character."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Foreign:   foreign,
		Arguments: "name texts with --data, a checkpoint with --init; each of nanoGPT's settings is a flag",
		Name:      "train", Help: "Train a model, or a tokenizer.", Flags: &commands{},
		Vars: cli.Vars(kong.Vars{"families": strings.Join(model.FamilyNames(), ","), "size": fmt.Sprint(defaultVocabSize), "frequency": fmt.Sprint(defaultMinFrequency)}),
	}
}

// foreign are flags of nanoGPT, llm.c and Hugging Face's trainer that have
// another name here, or none.
var foreign = cli.Foreign(map[string]string{
	"--data":            "--dataset --data-dir --train-file --train-data --dataset-path --input --file",
	"--val":             "--validation-file --eval-data --val-data --eval-file",
	"--init":            "-m --model --model-name-or-path --model-path",
	"--out-dir":         "--output-dir --out",
	"--tokenizer":       "--tokenizer-name --tokenizer-path",
	"--batch-size":      "--per-device-train-batch-size --train-batch-size --micro-batch-size",
	"--block-size":      "--max-seq-length --max-seq-len --max-length --seq-len --sequence-length --ctx-size --n-ctx --n-positions",
	"--warmup-iters":    "--warmup-steps --num-warmup-steps",
	"--eval-interval":   "--eval-steps",
	"--log-interval":    "--logging-steps",
	"--beta1":           "--adam-beta1",
	"--beta2":           "--adam-beta2",
	"--grad-clip":       "--max-grad-norm --clip-grad",
	"--recompute":       "--gradient-checkpointing",
	"--n-layer":         "--n-layers --num-layers --num-hidden-layers",
	"--n-head":          "--n-heads --num-heads --num-attention-heads",
	"--n-embd":          "--hidden-size --d-model",
	"--force":           "--overwrite-output-dir --overwrite",
	"--dtype=f16":       "--fp16",
	"--backend=cpu":     "--cpu --no-cuda --use-cpu",
	cli.OneDevice:       "-ngl --n-gpu-layers --gpu-layers --device-map --ddp --local-rank --nproc-per-node",
	"say --init=resume": "--resume --resume-from-checkpoint --resume-from",
	"say --dtype=f16 for mixed precision, or leave it out":                           "--bf16 --tf32 --amp",
	"operations are recorded once and then run: leave it out":                        "--compile --torch-compile",
	"steps are logged to log.jsonl and drawn as loss.svg in --out_dir: leave it out": "--wandb-log --wandb-project --wandb-run-name --report-to --tensorboard --logging-dir --run-name",
	"say how many steps with --max_iters":                                            "--num-train-epochs --epochs --num-epochs --n-epochs",
	"checkpoints are saved at each validation: see --eval_interval":                  "--save-steps --save-interval --save-strategy --save-every --eval-strategy --evaluation-strategy",
	"the last checkpoint and the best are kept: leave it out":                        "--save-total-limit --load-best-model-at-end",
	"it trains and validates: leave it out, or see --eval-only":                      "--do-train --do-eval",
	"the family tells which layers have biases: leave it out":                        "--bias",
	"the optimizer is AdamW: leave it out":                                           "--optim --optimizer",
	"the learning rate falls on a cosine, or stays with --no-decay_lr: leave it out": "--lr-scheduler-type --scheduler",
})
