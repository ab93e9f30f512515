//go:build cgo

package vulkan

import (
	"fmt"
	"strings"

	"caldera/backend"
)

// product is a matrix product, dst = x · wᵀ, as far as the choice of a kernel for it goes
// by it. Which kernels can compute it, and which of them is to, follows from this and from
// the device's limits: see choices.
type product struct {
	rows, in, out int
	x, w          backend.DType
	transposed    bool // w is stored as [in, out]
	columns       bool // and x as [in, rows]: the gradient of a matrix

	// How the operands lie.
	fours   bool // x and w can be read in fours
	texels  bool // x and w can be read as texels of four
	xTexels bool // x alone can
	words   bool // x can, and w as texels of whole numbers
	eights  bool // one row, and all that linear_one.comp reads in eights and fours lies so
	aligned bool // and all that linear_matrix.comp reads and writes in 16 bytes
	whole   bool // dst is contiguous

	rounded bool // x gets the precision of f16, in the kernel

	// What follows the product.
	accumulate bool
	activation backend.Activation
	residual   bool

	joined joined
}

// joined is what linear_one.comp alone computes besides: a norm and a conversion of x to blocks
// before the product, a rotation and a store, or a gate, behind it.
type joined struct {
	norm        uint32        // as normKind tells
	blocks      backend.DType // of activations, to which x is converted; None: it is not
	apart, head int           // how far the outputs of a pair are apart that is rotated, and how many a head has; 0: no rotation
	gate        bool          // half of the outputs are a gate of the others, by the activation
	cache       backend.DType // of what is stored; None: nothing is
	table       bool          // blocks of the cache are found through a table
}

// places reports whether what follows the product depends on where its token stands.
func (j *joined) places() bool { return j.apart > 0 || j.cache != backend.None }

// pairs reports whether outputs are stored in pairs, each of which is a word of the cache.
func (j *joined) pairs() bool { return j.cache != backend.None && j.cache != backend.F32 }

// productOf describes a product of matrices that can be bound.
func (e *encoder) productOf(o *linearOp) product {
	_, xBase := e.operand(o.x, backend.Read)
	_, wBase := e.operand(o.w, backend.Read)
	p := describe(o, xBase, wBase)
	p.aligned = e.aligned(o)
	if e.limits().Software {
		p.texels = linearTexel(e, o)
		p.xTexels = !p.texels && linearXTexel(e, o)
		p.words = !p.texels && linearWords(e, o)
	}
	return p
}

// describe is productOf without texels, of operands whose bindings begin so many elements
// before them.
func describe(o *linearOp, xBase, wBase uint32) product {
	p := product{
		rows: o.x.Dim(-2), in: o.x.Dim(-1), out: o.w.Dim(-2), x: o.x.DType, w: o.w.DType,
		transposed: o.transposed(), whole: o.dst.Contiguous(), rounded: !o.rounded.Absent() && !o.rounded.DType.Quantized(),
		accumulate: o.accumulate, activation: o.activation, residual: !o.residual.Absent(),
	}
	p.fours = linearFours(o, xBase, wBase)
	p.eights = fitsOne(o, xBase, wBase)
	p.joined.norm = normKind(&o.norm)
	if o.rounded.DType.Quantized() {
		p.joined.blocks = o.rounded.DType
	}
	if r := &o.rotation; !r.Angles.Absent() {
		p.joined.apart, p.joined.head = 1, o.turned/r.Heads
		if r.Pairing == backend.Halves {
			p.joined.apart = p.joined.head / 2
		}
	}
	if g := &o.gate; g.On {
		p.joined.gate, p.activation = true, g.Func
	}
	if s := &o.store; !s.Cache.Absent() {
		p.joined.cache, p.joined.table = s.Cache.DType, !s.Table.Absent()
	}
	return p
}

// gradientOf is productOf of the product that makes the gradient of a matrix.
func (e *encoder) gradientOf(o *linearOp) product {
	x, xBase := e.operand(o.x, backend.Read)
	w, wBase := e.operand(o.w, backend.Read)
	p := product{
		rows: o.dst.Dim(2), in: o.x.Dim(3), out: o.dst.Dim(3), x: o.x.DType, w: o.w.DType,
		transposed: true, columns: true, whole: o.dst.Contiguous(), accumulate: true,
	}
	p.fours = x.err == nil && w.err == nil && columnsInFours(o.x, xBase) && columnsInFours(o.w, wBase)
	p.aligned = e.aligned(o)
	if e.limits().Software {
		x, xBase, ok := e.texels(o.x)
		w, wBase, ok2 := e.texels(o.w)
		p.texels = ok && ok2 && x.err == nil && w.err == nil && columnsInFours(o.x, xBase) && columnsInFours(o.w, wBase)
	}
	return p
}

// halves reports whether both operands are f16.
func (p *product) halves() bool { return p.x == backend.F16 && p.w == backend.F16 }

// withoutEpilogue is the product alone.
func (p *product) withoutEpilogue() product {
	q := *p
	q.accumulate, q.activation, q.residual = false, backend.NoActivation, false
	return q
}

// String names the shape and what the choice of its kernel goes by: "1×768×2304 f32·q8_0, layernorm".
// What follows in registers does not change the choice and has no part in it.
func (p *product) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d×%d×%d %v·%v", p.rows, p.in, p.out, p.x, p.w)
	for _, more := range []struct {
		is   bool
		text string
	}{
		{p.rounded, ", rounded"}, {p.columns, ", gradient"}, {p.transposed && !p.columns, ", transposed"},
		{p.joined.norm != 0, ", norm"}, {p.joined.blocks != backend.None, ", in blocks"},
		{p.joined.apart > 0, ", rotation"}, {p.joined.gate, ", gate"}, {p.joined.cache != backend.None, ", store"},
	} {
		if more.is {
			s.WriteString(more.text)
		}
	}
	return s.String()
}
