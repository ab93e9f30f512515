package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"caldera/backend"
	"caldera/gpt"
	"caldera/gpt/model"
	"caldera/internal/bench/result"
)

// use describes the use of a model that runs the tests: a context of as many
// tokens as the longest has, as llama-bench takes it. All of what a model can see
// would fill a device, where that is a hundred thousand tokens.
func use(c model.Config, tests []Test, cache backend.DType) gpt.Use {
	u := gpt.Use{Cache: cache}
	sessions := false
	for _, t := range tests {
		sessions = sessions || t.Sequences == 0
		u.Context = max(u.Context, t.Positions())
		u.Feeds = append(u.Feeds, t.Depth, t.Prompt, min(1, t.Gen))
	}
	most := cmp.Or(cache, backend.F32) // whichever it will be
	caches := func(n int) int64 { return int64(n) * int64(c.Layers) * int64(most.Bytes(u.Context*c.CacheWidth())) }
	for i, o := range batchOptions(tests, cache) {
		if i == 0 {
			u.Batch = &o
		} else {
			u.Beside += caches(o.Sequences)
		}
	}
	if u.Batch != nil && sessions {
		u.Beside += caches(1)
	}
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
	if kept := m.DType(); o.DType != backend.None && kept != o.DType && !isMixture(o.DType) {
		return nil, errors.Join(fmt.Errorf("%w: matrices were asked for as %v and kept as %v", result.ErrUnsupported, o.DType, kept), m.Close())
	}
	if o.Loaded != nil {
		o.Loaded(m)
	}
	return m, nil
}

// dtypes names the type of the matrices in blocks, and how what they are multiplied with is
// rounded, if that is not as the device does by itself: "q8_0*q8_a", "f16*f16" or, where it would
// round, "f16*f32". The matrix of tokens may have another
// type, where its rows are not whole blocks of a quantised one. A mixture that was asked for goes by its own name.
func dtypes(m *model.Model, asked backend.DType) string {
	w, rounding := m.DType(), m.Rounding()
	name := w.String()
	if isMixture(asked) {
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

func isMixture(d backend.DType) bool {
	most, _ := d.Mixture()
	return most != d
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
// matrices of a type, or no attention over keys and values of one.
func (d *Device) lacks(c model.Config, dtype, cache backend.DType) error {
	kv, heads := c.CacheWidth()/2, c.Heads*c.HeadSize
	row := backend.Of(paper{1}, backend.F32, 0, 1, c.Width)
	at := backend.Of(paper{2}, backend.I32, 0, 2, 1)
	keys := backend.Of(paper{3}, cmp.Or(cache, backend.F32), 0, 1, c.Context, 2*kv)
	ops := []backend.Op{
		&backend.Store{Dst: keys, X: backend.Of(paper{4}, backend.F32, 0, 1, 2*kv), At: at},
		&backend.Attention{Dst: backend.Of(paper{}, backend.F32, 0, 1, heads), Q: backend.Of(paper{7}, backend.F32, 0, 1, heads), At: at, Heads: c.Heads, Scale: 1,
			K: keys.Slice(-1, 0, kv), V: keys.Slice(-1, kv, 2*kv)},
	}
	if isMixture(dtype) { // rows that are no whole blocks have another type
		most, _ := dtype.Mixture()
		dtype = most.Fitting(c.Width)
	} else if dtype != backend.None {
		if n := dtype.BlockLen(); c.Width%n != 0 || c.Inner%n != 0 {
			return fmt.Errorf("%w: rows of %d and %d numbers are not whole blocks of %v, which have %d", result.ErrUnsupported, c.Width, c.Inner, dtype, n)
		}
	}
	if dtype != backend.None {
		ops = slices.Insert(ops, 0, backend.Op(&backend.Linear{
			Dst: backend.Of(paper{5}, backend.F32, 0, 1, c.Inner), X: row, W: backend.Of(paper{6}, dtype, 0, c.Inner, c.Width),
		}))
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
