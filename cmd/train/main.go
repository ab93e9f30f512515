// Command train makes what a model is made of:
//
//	train tokenizer --vocab-size=2048 -o novels/ austen/*.txt
//
// Each command below train has a file of its name: its flags and its wiring.
// texts.go has the texts that it reads, progress.go tells on a terminal how far
// it is. How a vocabulary is made is in package tokenizer.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"caldera/internal/cli"
)

type commands struct {
	Tokenizer tokenizerCommand `cmd:"" help:"Make a tokenizer of texts: byte-level BPE as GPT-2's, or a token for each character."`
}

func main() {
	os.Exit(cli.Commands(&commands{}, "Train what a model is made of.", kong.Vars{
		"size": fmt.Sprint(defaultVocabSize), "frequency": fmt.Sprint(defaultMinFrequency),
	}))
}
