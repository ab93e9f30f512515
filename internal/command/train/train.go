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

	"github.com/alecthomas/kong"

	"caldera/internal/cli"
)

type commands struct {
	Run       runCommand       `cmd:"" default:"withargs" help:"Train a model on texts, from random weights or those of a checkpoint."`
	Tokenizer tokenizerCommand `cmd:"" help:"Make a tokenizer of texts: byte-level BPE as GPT-2's, or a token for each character."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Foreign: foreign,
		Name:    "train", Help: "Train a model, or a tokenizer.", Flags: &commands{},
		Vars: kong.Vars{"size": fmt.Sprint(defaultVocabSize), "frequency": fmt.Sprint(defaultMinFrequency)},
	}
}

// foreign are flags of nanoGPT, llm.c and Hugging Face's trainer that have
// another name here, or none.
var foreign = map[string]string{
	"--dataset":          "--data",
	"--output-dir":       "--out-dir",
	"--resume":           "say --init=resume",
	"--bf16":             "say --dtype=f16 for mixed precision, or leave it out",
	"--fp16":             "--dtype=f16",
	"--compile":          "operations are recorded once and then run: leave it out",
	"--wandb-log":        "steps are logged to log.jsonl and drawn as loss.svg in --out_dir: leave it out",
	"--wandb-project":    "steps are logged to log.jsonl and drawn as loss.svg in --out_dir: leave it out",
	"--epochs":           "say how many steps with --max_iters",
	"--model":            "--init",
	"-m":                 "--init",
	"--num-train-epochs": "say how many steps with --max_iters",
	"-ngl":               "the whole model is on one device: choose it with --backend and --device, and leave this out",
	"--n-gpu-layers":     "the whole model is on one device: choose it with --backend and --device, and leave this out",
}
