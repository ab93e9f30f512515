// Package convert is the command that writes a checkpoint in another format or
// with another type of weights:
//
//	convert -m gpt2 --dtype=q8_0 -o gpt2-q8_0.gguf
//
// convert.go has the flags and what they mean together, output.go the file or
// directory that is written, progress.go tells on a terminal how far it is. What is written, and how, is in package gpt.
package convert

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/internal/cli"
	"caldera/models"
)

type flags struct {
	Model string `short:"m" placeholder:"PATH" help:"Checkpoint to convert: a directory in Hugging Face's layout, a GGUF file, the folder of a training run, or a model of Hugging Face's hub, org/name[:file or quantisation][@revision] (default: the embedded model, ${embedded})."`
	cli.AdapterFlag
	To     string `enum:"auto,gguf,safetensors" default:"auto" placeholder:"FORMAT" help:"gguf: one file, for llama.cpp and ollama. safetensors: a directory in Hugging Face's layout. auto: gguf where the output's name ends in .gguf, else safetensors (${default})."`
	DType  string `name:"dtype" aliases:"outtype" enum:"auto,${dtypes}" default:"auto" placeholder:"TYPE" help:"Store matrices as one of ${plain} or, in GGUF, of ${blocks}: blocks of 8 to 4 bits a weight, of which q5_k_m and q4_k_m give more to matrices that matter more (auto: as they are)."`
	Output string `short:"o" aliases:"outfile" required:"" placeholder:"PATH" help:"The file, or the directory, to write."`
	Force  bool   `help:"Replace the output if it is there."`
}

// Command returns the command, with flags of its own.
func Command() cli.Command {
	return cli.Command{
		Name: "convert", Help: "Convert a checkpoint to GGUF, for llama.cpp and ollama, or to safetensors. An output is there whole or not at all.",
		Flags: &flags{}, Vars: cli.Vars(kong.Vars{"embedded": models.Name}), Foreign: foreign,
		Arguments: "name the model with -m, what to write with -o, and the type of weights with --dtype",
	}
}

// foreign are flags of llama.cpp's and Hugging Face's converters that have another
// name here, or none.
var foreign = cli.Foreign(map[string]string{
	"--model":     "--model-path --model-name-or-path --model-dir --input --input-dir --checkpoint --ckpt --remote --repo-id -hf --hf-repo",
	"--output":    "--output-file --output-dir --out --out-dir --save-directory",
	"--to":        "--format --output-format",
	"--dtype":     "--quantize --quantization --quant --ftype --type --torch-dtype -q",
	"--dtype=f16": "--fp16 --half",
	"--force":     "--overwrite --overwrite-output-dir -y --yes",
	cli.Automatic: "--use-temp-file --no-lazy --pure --allow-requantize --leave-output-tensor --threads --verbose --safe-serialization",
	"the whole model is written to one file: leave it out": "--split-max-size --split-max-tensors --max-shard-size --vocab-only --no-tensor-first-split --bigendian",
})

// Run converts.
func (f *flags) Run(ctx context.Context) (err error) {
	o := checkpoint.SaveOptions{}
	if f.DType != "auto" {
		if o.DType, err = backend.ParseDType(f.DType, backend.Targets); err != nil {
			return cli.UsageError{Err: err}
		}
	}
	if f.To, err = format(f.Output, f.To); err != nil {
		return err
	}
	if f.To == "safetensors" && o.DType.Quantized() {
		return cli.Usagef("--dtype=%s: safetensors holds no blocks; expected one of %s, auto, or --to=gguf, or an output whose name ends in .gguf", f.DType, backend.JoinDTypes(backend.PlainDTypes()))
	}
	if err := f.free(); err != nil {
		return err
	}
	c, err := cli.ModelFlags{Model: f.Model}.Open(ctx, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	adapters, done, err := f.OpenAdapters(os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	o.Adapters = adapters
	p := newProgress(f.Output)
	o.Progress = p.step
	o.Warn = func(what string) { fmt.Fprintf(os.Stderr, "%s: warning: %s\n", cli.Self(), what) }
	if f.To == "gguf" {
		err = c.SaveGGUF(ctx, f.Output, o)
	} else {
		err = c.SaveDir(ctx, f.Output, o)
	}
	p.end()
	if err != nil {
		return err
	}
	return tell(os.Stderr, f.Output, f.To)
}
