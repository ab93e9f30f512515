package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"caldera/backend"
	"caldera/gpt"
)

// use is what a model is loaded for that is to run the tests.
func use(tests []Test, cache backend.DType) gpt.Use {
	u := gpt.Use{Cache: cache}
	for _, t := range tests {
		u.Feeds = append(u.Feeds, t.Depth, t.Prompt, min(1, t.Gen))
	}
	return u
}

// load loads a model into b, d's or what wraps it, unless it does not fit
// together with what it is to be used for, or its matrices cannot be kept as asked.
func (d *Device) load(ctx context.Context, b backend.Backend, model Model, dtype backend.DType, use gpt.Use) (*gpt.Model, error) {
	m, err := model.Load(ctx, b, gpt.LoadOptions{DType: dtype, For: &use})
	if err != nil {
		return nil, advice(err, use.Evaluate, true)
	}
	if kept := m.Blocks[0].Up.W.DType; dtype != backend.None && kept != dtype {
		return nil, errors.Join(fmt.Errorf("%w: matrices were asked for as %v and kept as %v", ErrUnsupported, dtype, kept), m.Close())
	}
	return m, nil
}

// advice takes from the error of a model that does not fit what the command
// cannot be told: a smaller context, another type of keys and values.
func advice(err error, context, cache bool) error {
	var e *gpt.MemoryError
	if errors.As(err, &e) {
		if !context {
			e.Context = 0
		}
		if !cache {
			e.Cache = backend.None
		}
	}
	return err
}

// lacks tells early that a device has no product with matrices of a type, or no
// attention over keys and values of one.
func (d *Device) lacks(c gpt.Config, dtype, cache backend.DType) error {
	row := backend.Of(paper{1}, backend.F32, 0, 1, c.Width)
	at := backend.Of(paper{2}, backend.I32, 0, 1)
	keys := backend.Of(paper{3}, cache, 0, 1, c.Context, 2*c.Width)
	ops := []backend.Op{
		&backend.Store{Dst: keys, X: backend.Of(paper{4}, backend.F32, 0, 1, 2*c.Width), At: at},
		&backend.Attention{Dst: backend.Of(paper{}, backend.F32, 0, 1, c.Width), Q: row, At: at, Heads: c.Heads, Scale: 1,
			K: keys.Slice(-1, 0, c.Width), V: keys.Slice(-1, c.Width, 2*c.Width)},
	}
	if dtype != backend.None {
		if n := dtype.BlockLen(); c.Width%n != 0 || c.Inner%n != 0 {
			return fmt.Errorf("%w: rows of %d and %d numbers are not whole blocks of %v, which have %d", ErrUnsupported, c.Width, c.Inner, dtype, n)
		}
		ops = slices.Insert(ops, 0, backend.Op(&backend.Linear{
			Dst: backend.Of(paper{5}, backend.F32, 0, 1, c.Inner), X: row, W: backend.Of(paper{6}, dtype, 0, c.Inner, c.Width),
		}))
	}
	if _, err := backend.Prepare(d.b.Backend, ops...); err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return nil
}

// paper is a buffer that is only asked about, and of any size.
type paper struct{ id int }

func (paper) Size() int { return 1 << 62 }
func (paper) Free()     {}
