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
		Name: "train", Help: "Train a model, or a tokenizer.", Flags: &commands{},
		Vars: kong.Vars{"size": fmt.Sprint(defaultVocabSize), "frequency": fmt.Sprint(defaultMinFrequency)},
	}
}
