package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
)

// use describes the use of a model that runs the tests: a context of as many
// tokens as the longest has, as llama-bench takes it. All of what a model can see
// would fill a device, where that is a hundred thousand tokens. It is that of batches, if
// there are any, and More are the others.
func use(tests []Test, cache backend.DType) gpt.Use {
	alone := gpt.Use{Cache: cache}
	for _, t := range tests {
		if alone.Context = max(alone.Context, t.Positions()); t.Sequences == 0 {
			alone.Feeds = append(alone.Feeds, t.Depth, t.Prompt, min(1, t.Gen))
		}
	}
	var all []gpt.Use
	for _, o := range batchOptions(tests, cache) {
		u := gpt.Use{Context: alone.Context, Cache: cache, Batch: &o}
		for _, t := range tests {
			if t.Sequences > 0 && (t.Sequences == 1) == (o.Sequences == 1) {
				u.Feeds = append(u.Feeds, cmp.Or(t.Prompt, t.Depth, 1))
			}
		}
		all = append(all, u)
	}
	if len(alone.Feeds) > 0 {
		all = append(all, alone)
	}
	u := all[0]
	u.More = all[1:]
	return u
}

// load loads a model into b, which is d's backend or a wrapper of it. It fails
// where the model does not fit together with its use, or where the matrices
// cannot have the type that was asked for.
func (d *Device) load(ctx context.Context, b backend.Backend, model Model, o Options, use gpt.Use) (*model.Model, error) {
	m, err := model.Load(ctx, b, gpt.LoadOptions{DType: o.DType, Activations: o.Activations, For: &use})
	if err != nil {
		return nil, advice(err, use.Evaluate != nil, true)
	}
	if o.Loaded != nil {
		o.Loaded(m)
	}
	return m, nil
}

// dtypes names the type of the matrices, and how what they are multiplied with is
// rounded, if that is not as the device does by itself: "q8_0*q8_a", "f16*f16" or, where it would
// round, "f16*f32". It is the type that was asked for, or else that of the blocks' matrices: single
// matrices may have others ([model.Weight.Kept]), as they have where llama.cpp is asked for that type.
func dtypes(m *model.Model, asked backend.DType) string {
	w, rounding := m.DType(), m.Rounding()
	name := w.String()
	if asked != backend.None {
		name = asked.String()
	}
	if m.RoundsNothing() {
		rounding = backend.F32
	}
	if rounding == backend.Rounding(m.Backend, w) {
		return name
	}
	return name + "*" + rounding.String()
}

// advice removes remedies from the error of a model that does not fit: a smaller
// context or another type of keys and values, where they cannot be chosen.
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

// lacks reports, before anything is loaded, that a device has no product with
// matrices of a type, or of those that stand for it where rows are not whole blocks, or no
// attention over keys and values of one.
func (d *Device) lacks(c model.Config, dtype, cache backend.DType) error {
	kv, heads := c.CacheWidth()/2, c.Heads*c.HeadSize
	at := backend.Of(paper{2}, backend.I32, 0, 2, 1)
	keys := backend.Of(paper{3}, cmp.Or(cache, backend.F32), 0, 1, c.Context, 2*kv)
	ops := []backend.Op{
		&backend.Store{Dst: keys, X: backend.Of(paper{4}, backend.F32, 0, 1, 2*kv), At: at},
		&backend.Attention{Dst: backend.Of(paper{}, backend.F32, 0, 1, heads), Q: backend.Of(paper{7}, backend.F32, 0, 1, heads), At: at, Heads: c.Heads, Scale: 1,
			K: keys.Slice(-1, 0, kv), V: keys.Slice(-1, kv, 2*kv)},
	}
	if dtype != backend.None {
		var products []backend.Op
		known := map[[3]int]bool{} // dtypes and shapes
		for _, w := range onPaper(d.b.Backend, c, dtype).Weights() {
			if !w.Matrix() || w.Make != nil || !w.Multiplies() && w.Role != model.Unembedding {
				continue
			}
			d, in, out := w.Tensor.DType, w.Inputs(), w.Shape[len(w.Shape)-2]
			if x := [3]int{int(d), in, out}; !known[x] {
				known[x] = true
				products = append(products, &backend.Linear{
					Dst: backend.Of(paper{5}, backend.F32, 0, 1, out), X: backend.Of(paper{1}, backend.F32, 0, 1, in), W: backend.Of(paper{6}, d, 0, out, in),
				})
			}
		}
		ops = append(products, ops...)
	}
	if _, err := backend.Prepare(d.b.Backend, ops...); err != nil {
		return fmt.Errorf("%w: %w", result.ErrUnsupported, err)
	}
	return nil
}

// paper is a buffer without memory: ops on it are checked and do not run.
type paper struct{ id int }

func (paper) Size() int { return 1 << 62 }
func (paper) Free()     {}
