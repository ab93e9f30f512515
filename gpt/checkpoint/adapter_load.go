package checkpoint

// Adapters beside the weights of a model in memory. Those of a block share a buffer, in which
// the A's lie one below the other: those that read the same vectors are one product.

import (
	"context"
	"fmt"
	"math"

	"caldera/backend"
	"caldera/backend/null"
	"caldera/gpt/model"
)

// addition is what all adapters together have beside a matrix: one adapter, whose rank is the sum of
// theirs.
type addition struct {
	parts []part
	rank  int
}

// part is what one of them has.
type part struct {
	thin
	of *Adapter
}

// additions finds what adapters have beside the matrices of m, by the names of these.
func additions(m *model.Model, adapters []*Adapter) (map[string]addition, error) {
	all := map[string]addition{}
	for _, a := range adapters {
		list, err := a.match(m)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			name := t.w.Name(model.HuggingFace)
			x := all[name]
			x.parts, x.rank = append(x.parts, part{t, a}), x.rank+t.rank
			all[name] = x
		}
	}
	return all, nil
}

// tunes reports whether an adapter is going to be trained, and not the weights.
func (o LoadOptions) tunes() bool { return o.Train && len(o.Adapters) > 0 }

// adapt makes room for the adapters of m, a model of this plan, in buffers of so many numbers,
// one for each block.
func (p Plan) adapt(m *model.Model, alloc func(elements int) (backend.Buffer, error)) error {
	blocks := map[int][]model.Weight{}
	last := -1
	for _, w := range m.Weights() {
		if w.Linear != nil && p.beside[w.Name(model.HuggingFace)].rank > 0 {
			blocks[w.Block] = append(blocks[w.Block], w)
			last = max(last, w.Block)
		}
	}
	for i := range last + 1 {
		at := 0
		var placed []*backend.Tensor
		place := func(to *backend.Tensor, dims ...int) {
			*to = backend.Of(nil, backend.F32, at, dims...)
			at += (to.Len() + 3) / 4 * 4 // so that backends may read four numbers at once
			placed = append(placed, to)
		}
		for _, w := range blocks[i] {
			place(&w.Linear.Adapter.A, p.beside[w.Name(model.HuggingFace)].rank, w.Inputs())
		}
		for _, w := range blocks[i] {
			place(&w.Linear.Adapter.B, w.Shape[0], p.beside[w.Name(model.HuggingFace)].rank)
			if m.Tune {
				place(&w.Linear.Adapter.Scale, 1)
				w.Linear.Adapter.Dropout = float32(p.o.Adapters[0].Dropout)
			}
		}
		if at == 0 {
			continue
		}
		buf, err := alloc(at)
		for _, t := range placed {
			if t.Buf = buf; err != nil {
				*t = backend.Tensor{}
			}
		}
		if err != nil {
			return fmt.Errorf("adapter: %w", err)
		}
	}
	return nil
}

// adaptPaper is adapt for a model without memory. It returns the bytes that adapters take.
func (p Plan) adaptPaper(m *model.Model) (bytes int64) {
	if len(p.beside) == 0 {
		return 0
	}
	_ = p.adapt(m, func(n int) (backend.Buffer, error) {
		t := null.Tensor(backend.F32, n)
		bytes += int64(t.Size())
		return t.Buf, nil
	})
	return bytes
}

// loadAdapters puts the adapters beside the weights.
func (p Plan) loadAdapters(ctx context.Context) error {
	if len(p.beside) == 0 {
		return nil
	}
	err := p.adapt(p.m, func(n int) (backend.Buffer, error) {
		t, err := backend.New(p.m.Backend, backend.F32, n)
		return t.Buf, err
	})
	if err != nil {
		return err
	}
	for _, w := range p.m.Weights() {
		x := p.beside[w.Name(model.HuggingFace)]
		if w.Linear == nil || x.rank == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		a, b, err := x.numbers(p.m)
		if err != nil {
			return err
		}
		to := w.Linear.Adapter
		if err := backend.SetF32(p.m.Backend, to.A, a); err != nil {
			return err
		}
		if err := backend.SetF32(p.m.Backend, to.B, b); err != nil {
			return err
		}
		if !to.Scale.Absent() {
			if err := backend.SetF32(p.m.Backend, to.Scale, []float32{float32(x.parts[0].scale)}); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbers are those of A, [rank, in], and of B, [out, rank], in the order of m's rows. What the
// product is multiplied by is in A, unless the adapter is going to be trained.
func (x addition) numbers(m *model.Model) (a, b []float32, err error) {
	b = make([]float32, x.parts[0].w.Shape[0]*x.rank)
	at := 0
	for _, p := range x.parts {
		partA, err := p.of.numbers(p.a)
		if err != nil {
			return nil, nil, err
		}
		if !m.Tune {
			for i := range partA {
				v := partA[i]
				if partA[i] = float32(float64(v) * p.scale); math.IsInf(float64(partA[i]), 0) {
					return nil, nil, fmt.Errorf("adapter %s: tensor %q: element %v, %v, is infinite when it is multiplied by the scale, %v: give the adapter a smaller one",
						p.of.Path, p.a.Name, indexOf(i, p.a.Shape), v, p.scale)
				}
			}
		}
		a = append(a, partA...)
		partB, err := p.of.numbers(p.b)
		if err != nil {
			return nil, nil, err
		}
		row := p.rows(p.of.format, p.w.Lies(m.Order), m.HeadSize)
		for r := range p.w.Shape[0] {
			copy(b[r*x.rank+at:], partB[row(r)*p.rank:][:p.rank])
		}
		at += p.rank
	}
	return a, b, nil
}

// rows tells which row of B in format from is row r of it in format to: as the matrix has it.
func (t thin) rows(from, to model.Format, size int) func(r int) int {
	if rows := t.w.Rows(from, to, size); rows != nil {
		return rows
	}
	return func(r int) int { return r }
}
