package gpt

import (
	"context"

	"caldera/backend"
	"caldera/gpt/checkpoint"
	"caldera/gpt/model"
)

// LoadOptions say how a model is loaded. The zero value keeps matrices as the
// checkpoint stores them and vectors as f32.
type LoadOptions struct {
	// DType, Train, Activations, Adapters and Merge are as in [checkpoint.LoadOptions].
	DType       backend.DType
	Train       bool
	Activations backend.DType
	Adapters    []*checkpoint.Adapter
	Merge       bool

	// For is what the model is loaded for. Where the backend tells how much
	// memory is free, and that has no room for all of it, nothing is loaded and
	// the error is a [MemoryError]. Nil: only the weights must fit.
	For *Use
}

// Load reads the checkpoint at path into the memory of b, as [LoadCheckpoint]
// does. [checkpoint.Open] tells what a path may name.
func Load(ctx context.Context, b backend.Backend, path string, o LoadOptions) (*model.Model, error) {
	c, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	return LoadCheckpoint(ctx, b, c, o)
}

// LoadCheckpoint checks that the model fits into the memory of b, and loads it as
// [checkpoint.Checkpoint.Load] does, which takes the checkpoint over.
func LoadCheckpoint(ctx context.Context, b backend.Backend, c *checkpoint.Checkpoint, o LoadOptions) (*model.Model, error) {
	return c.Load(ctx, b, checkpoint.LoadOptions{DType: o.DType, Train: o.Train, Activations: o.Activations, Adapters: o.Adapters, Merge: o.Merge, Fits: func(p checkpoint.Plan) error {
		if err := o.fits(b, p); err != nil {
			return err
		}
		if o.For != nil && o.For.Compile {
			paper, _, _ := p.Paper(o.DType)
			o.For.compile(b, paper)
		}
		return nil
	}})
}

// Random loads [checkpoint.Random]: a model as it is before training, in which
// the seed decides all weights, on any backend.
func Random(ctx context.Context, b backend.Backend, config model.Config, o LoadOptions, seed uint64) (*model.Model, error) {
	c, err := checkpoint.Random(config, seed)
	if err != nil {
		return nil, err
	}
	return LoadCheckpoint(ctx, b, c, o)
}
