package main

import (
	"caldera/backend"
	"caldera/internal/bench"
	"caldera/internal/cli"
)

// modelFlags choose what to measure.
type modelFlags struct {
	Model []string `short:"m" placeholder:"PATH" help:"Checkpoints: directories in Hugging Face's layout, or GGUF files (default: the embedded model, ${embedded})."`
	Shape []string `placeholder:"NAME" help:"Models of these shapes with random weights: gpt2, gpt2-medium, gpt2-large, gpt2-xl."`
	DType []string `name:"dtype" default:"auto" placeholder:"TYPE" help:"Keep matrices as f32, f16, q8_0 or q4_0; several for one after the other (auto: as the checkpoint stores them, shapes as f32)."`
}

func (f *modelFlags) models() (list []bench.Model, err error) {
	if len(f.Model)+len(f.Shape) == 0 {
		m, err := bench.Embedded()
		return []bench.Model{m}, err
	}
	for _, dir := range f.Model {
		m, err := bench.Checkpoint(dir)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	for _, name := range f.Shape {
		m, err := bench.Shape(name)
		if err != nil {
			return nil, cli.Usagef("--shape=%s: %w", name, err)
		}
		list = append(list, m)
	}
	return list, nil
}

// dtypes has None for auto.
func (f *modelFlags) dtypes() (list []backend.DType, err error) {
	for _, name := range f.DType {
		d := backend.None
		if name != "auto" {
			if d, err = bench.ParseDType(name); err != nil {
				return nil, cli.Usagef("--dtype=%s: %w, or auto", name, err)
			}
		}
		list = append(list, d)
	}
	return list, nil
}
