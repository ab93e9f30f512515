// Package convert is the command that writes a checkpoint in another format or
// with another type of weights:
//
//	convert -m gpt2 --dtype=q8_0 -o gpt2-q8_0.gguf
//
// convert.go has the flags and what they mean together, progress.go tells on a
// terminal how far it is. What is written, and how, is in package gpt.
package convert

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/gpt"
	"caldera/internal/cli"
	"caldera/models"
)

type flags struct {
	Model  string `short:"m" placeholder:"PATH" help:"Checkpoint to convert: a directory in Hugging Face's layout or a GGUF file (default: the embedded model, ${embedded})."`
	To     string `enum:"gguf,safetensors" default:"gguf" placeholder:"FORMAT" help:"gguf: one file, for llama.cpp and ollama. safetensors: a directory in Hugging Face's layout (${default})."`
	DType  string `name:"dtype" aliases:"outtype" enum:"auto,f32,f16,q8_0,q4_0" default:"auto" placeholder:"TYPE" help:"Store matrices as f32, f16 or, in GGUF, as q8_0 or q4_0: blocks of 8 or 4 bits a weight (auto: as they are)."`
	Output string `short:"o" aliases:"outfile" required:"" placeholder:"PATH" help:"The file, or the directory, to write."`
	Force  bool   `help:"Replace the output if it is there."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "convert", Help: "Convert a checkpoint to GGUF, for llama.cpp and ollama, or to safetensors. An output is there whole or not at all.",
		Flags: &flags{}, Vars: kong.Vars{"embedded": models.Name},
	}
}

// Run converts.
func (f *flags) Run(ctx context.Context) (err error) {
	o := gpt.SaveOptions{}
	if f.DType != "auto" {
		if o.DType, err = backend.ParseDType(f.DType); err != nil {
			return cli.UsageError{Err: err}
		}
	}
	if f.To == "safetensors" && o.DType.Quantized() {
		return cli.Usagef("--dtype=%s --to=safetensors: safetensors holds no blocks; expected f32, f16 or auto, or --to=gguf", f.DType)
	}
	if err := f.free(); err != nil {
		return err
	}
	c, err := cli.ModelFlags{Model: f.Model}.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	p := newProgress(f.Output)
	o.Progress = p.step
	o.Warn = func(what string) { fmt.Fprintf(os.Stderr, "%s: warning: %s\n", cli.Self(), what) }
	if f.To == "gguf" {
		err = c.SaveGGUF(ctx, f.Output, o)
	} else {
		err = c.SaveDir(ctx, f.Output, o)
	}
	p.end()
	return err
}

// free reports an output that cannot be written, or must not.
func (f *flags) free() error {
	if f.Output == "" {
		return cli.Usagef("--output is empty: expected the name of what to write")
	}
	info, err := os.Stat(f.Output)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch f.To {
	case "gguf":
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is there and is no regular file: expected the name of a file to write", f.Output)
		}
	default:
		if !info.IsDir() {
			return fmt.Errorf("%s is there and is no directory: expected the name of a directory to write", f.Output)
		}
		entries, err := os.ReadDir(f.Output)
		if err != nil || len(entries) == 0 {
			return err
		}
	}
	if !f.Force {
		return fmt.Errorf("%s is there already: choose another --output, or replace it with --force", f.Output)
	}
	return nil
}
