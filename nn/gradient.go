package nn

import (
	"slices"

	"caldera/backend"
)

// gradient is that of one result of a tape. It is f32 and as large as all of the
// result: element i belongs to element i of the result's memory, so that a view
// on the result, whatever its strides, is a view on the gradient too.
//
// Whatever reads a view of the result contributes to that view. The gradient
// is a sum of layers. The views of one layer do not overlap, so the ops that
// compute them write them side by side into the layer's memory: the gradients of
// queries, keys and values become that of one matrix without a copy. A
// contribution that overlaps a view begins another layer, and the one before
// it is added to the sum. What is a part of no view is 0: a layer of parts
// begins with an op that clears it, which is dropped if the views turn out to
// fill the layer.
//
// Neither the sum nor a layer that is full is written to again. So a gradient
// that an op only hands on, as Add does, is no copy but the same tensor.
type gradient struct {
	slot   *slot
	sum    Tensor  // of the layers before, or absent
	layers []layer // the last one is open, those before it are to be added
}

// layer is memory for a gradient, or the gradient of another result.
type layer struct {
	memory  Tensor   // contiguous, of the slot's shape
	views   []Tensor // on the result: what has been written
	clear   backend.Op
	cleared bool // something relies on clear
}

// full reports whether the views are all of the layer.
func (l *layer) full() bool {
	n := 0
	for _, w := range l.views {
		n += w.Len()
	}
	return n == l.memory.Len()
}

// at is the view on memory, a gradient, that belongs to x, one on the result.
func at(memory, x Tensor) Tensor {
	x.Buf, x.DType, x.Offset = memory.Buf, memory.DType, memory.Offset+x.Offset
	return x
}

// contribution is a gradient dx of x, computed in memory of its own.
type contribution struct{ x, dx Tensor }

// grad is the gradient of which x's is a part, or nil if x is no result of the
// tape. The rule in hand is going to contribute to it.
func (b *backward) grad(x Tensor) *gradient {
	s, ok := x.Buf.(*slot)
	if !ok {
		return nil
	}
	g := b.grads[s]
	if g == nil {
		g = &gradient{slot: s}
		b.grads[s] = g
	}
	if !slices.Contains(b.changed, g) {
		b.changed = append(b.changed, g)
	}
	return g
}

// all reports whether x is all of the result, in order.
func (g *gradient) all(x Tensor) bool { return x.Contiguous() && x.Len() == g.slot.len() }

// open is the layer that x can become a view of.
func (b *backward) open(g *gradient, x Tensor) *layer {
	if n := len(g.layers); n > 0 && !slices.ContainsFunc(g.layers[n-1].views, x.Overlaps) {
		return &g.layers[n-1]
	}
	l := layer{memory: b.tensor(backend.F32, g.slot.shape[:]...)}
	g.layers = append(g.layers, l)
	return &g.layers[len(g.layers)-1]
}

// view is where x's gradient is to be written, by an op that the rule in hand
// appends. With cleared, it is 0 before.
func (b *backward) view(g *gradient, x Tensor, cleared bool) Tensor {
	l := b.open(g, x)
	if l.clear == nil && (cleared || !g.all(x)) {
		l.clear = &backend.Copy{Dst: l.memory, X: b.params.zerosLike(l.memory)}
		b.add(l.clear)
	}
	l.cleared = l.cleared || cleared
	l.views = append(l.views, x)
	return at(l.memory, x)
}

// dst is where a rule has the gradient of x written, by the op that it appends
// next. It has the shape of x, and its strides where x is a result of the tape.
func (b *backward) dst(x Tensor) Tensor {
	if g := b.grad(x); g != nil {
		return b.view(g, x, false)
	}
	dx := b.like(x)
	b.computed = append(b.computed, contribution{x, dx})
	return dx
}

// pass contributes dx, which is computed already, to the gradient of x, if x is
// a result of the tape or a parameter.
func (b *backward) pass(x, dx Tensor) {
	g := b.grad(x)
	switch {
	case g == nil:
		if sum := b.params.grad(x); !sum.Absent() {
			b.add(&backend.Copy{Dst: sum, X: b.Add(b.contiguous(sum), dx)})
		}
	case g.all(x) && dx.Contiguous():
		g.layers = append(g.layers, layer{memory: dx.Reshape(g.slot.shape[:]...), views: []Tensor{x}})
	default:
		b.add(&backend.Copy{Dst: b.view(g, x, false), X: dx})
	}
}

// sum is where an op adds to the gradient of x: that of a parameter, or of a
// result. It is absent if x is neither.
func (b *backward) sum(x Tensor) Tensor {
	if g := b.grad(x); g != nil {
		return b.view(g, x, true)
	}
	return b.params.grad(x)
}

// settle ends a rule: it adds layers up that no view is going to join.
func (b *backward) settle() {
	for _, c := range b.computed {
		b.pass(c.x, c.dx)
	}
	for _, g := range b.changed {
		b.fold(g, false)
	}
	b.computed, b.changed = b.computed[:0], b.changed[:0]
}

// fold adds layers to the sum: all of them, or all but one that is open and has
// parts to be written.
func (b *backward) fold(g *gradient, all bool) {
	for len(g.layers) > 0 {
		l := g.layers[0]
		if len(g.layers) == 1 && !all && !l.full() {
			return
		}
		g.layers = g.layers[1:]
		if l.clear != nil && l.full() && !l.cleared {
			b.unneeded[l.clear] = true
		}
		if g.sum.Absent() {
			g.sum = l.memory
			continue
		}
		// In the shape of the last view, so that Fuse finds what computed it.
		dx := at(l.memory, l.views[len(l.views)-1])
		if !g.all(l.views[len(l.views)-1]) {
			dx = l.memory
		}
		g.sum = b.Add(g.sum.Reshape(dx.Shape[:]...), dx).Reshape(g.slot.shape[:]...)
	}
}

// of is the gradient of x, a result or a view on one, once everything that
// read it has contributed.
func (b *backward) of(g *gradient, x Tensor) Tensor {
	b.fold(g, true)
	return at(g.sum, x)
}
