//go:build cgo

package vulkan

import (
	"strings"

	"caldera/backend"
	"caldera/shaders"
)

func init() {
	register(kernel[*backend.LinearBackward]{encode: encodeLinearBackward})
}

// encodeLinearBackward is a product of the same kind as linear's, dst = x · wᵀ,
// where dst is dw, x is dyᵀ and w is xᵀ, both as they lie: columns are vectors.
// The inputs, over which it sums, are the vectors that linear saw.
func encodeLinearBackward(e *encoder, op *backend.LinearBackward) error {
	return alongRows(op.DY, op.X, func(dy, x backend.Tensor) error {
		if !op.DBias.Absent() {
			if err := sumRows(e, op.DBias, dy); err != nil {
				return err
			}
		}
		o := linearOp{dst: op.DW, x: dy.Transpose(), w: x.Transpose(), accumulate: true}
		if dw := op.DW; dw.Dim(-1) > 1 && dw.Stride(-1) != 1 { // it lies as [in, out]
			o.dst, o.x, o.w = dw.Transpose(), o.w, o.x
		}
		return encodeGradient(e, o)
	})
}

// alongRows calls f with parts of a and b that are matrices, one after the other.
func alongRows(a, b backend.Tensor, f func(a, b backend.Tensor) error) error {
	for axis := range 2 { // rows that lie at no single distance: one outer index after the other
		if !haveRowStride(a, b) && a.Dim(axis) > 1 {
			return each(a.Dim(axis), 1, func(i, end int) error {
				return alongRows(a.Slice(axis, i, end), b.Slice(axis, i, end), f)
			})
		}
	}
	return f(matrix(a), matrix(b))
}

// encodeGradient brings a product of transposed matrices, dst += x · wᵀ, down
// to such that can be bound.
func encodeGradient(e *encoder, o linearOp) error {
	p := e.gradientOf(&o)
	k, err := e.choose(&p)
	if err != nil {
		return err
	}
	rows, outs, in := o.dst.Dim(2), o.dst.Dim(3), o.x.Dim(3)
	groups := int(min(e.limits().Groups[0], e.limits().Groups[1]))
	c := min(e.maxAlong(o.dst.Slice(2, 0, 1), 3), groups*k.outs)
	r, i := groups*k.rows, min(in, e.maxRounds())
	if !k.texel {
		c = min(c, e.maxAlong(o.w.Slice(3, 0, 1), 2))
		r = min(r, e.maxAlong(o.x.Slice(3, 0, 1), 2))
	}
	c = inWhole(c, 4, outs)
	r = inWhole(min(r, e.maxRows(o.dst.Slice(3, 0, c))), 4, rows)
	if !k.texel {
		i = min(i, e.maxAlong(o.x.Slice(2, 0, r), 3), e.maxAlong(o.w.Slice(2, 0, c), 3))
	}
	if most := maxWork / (i * c); r > most { // so that no watchdog fires
		r = max(most-most%k.rows, k.rows)
	}
	if r >= rows && c >= outs && i >= in {
		return gradientDispatch(e, &o, &p, &k)
	}
	return each(rows, r, func(r, rEnd int) error {
		return each(outs, c, func(c, cEnd int) error {
			return each(in, i, func(i, iEnd int) error {
				part := o
				part.dst = o.dst.Slice(2, r, rEnd).Slice(3, c, cEnd)
				part.x = o.x.Slice(2, r, rEnd).Slice(3, i, iEnd)
				part.w = o.w.Slice(2, c, cEnd).Slice(3, i, iEnd)
				return encodeGradient(e, part) // which another kernel may suit
			})
		})
	})
}

// inWhole makes n, of all, a multiple of unit, so that a part begins where
// fours do.
func inWhole(n, unit, all int) int {
	if n < all && n >= unit {
		return n - n%unit
	}
	return n
}

// columnsInFours reports whether the columns of a matrix can be read in fours
// along their neighbours, up to three more than there are where rows lie so far apart.
func columnsInFours(t backend.Tensor, base uint32) bool {
	return base%4 == 0 && (t.Stride(3)%4 == 0 || t.Dim(3) == 1 && t.Dim(2)%4 == 0)
}

// minPart is how many vectors a part of a sum has at least: with fewer, adding
// up the parts costs as much as it gains.
const minPart = 256

// parts is in how many parts the sums of a product are split, that are added up in order by
// another dispatch. Small matrices are few tiles: workgroups share the inputs, two or more for each core.
func (c *linearChoice) parts(l *Limits, p *product) int {
	switch {
	case c.tile == 0 || p.columns && !p.whole:
		return 1
	case !p.columns:
		return matrixParts(l, p, c)
	}
	tiles := (p.out + c.outs - 1) / c.outs * ((p.rows + c.rows - 1) / c.rows)
	return max(min(p.in/minPart, (2*l.Cores+tiles-1)/tiles, int(l.Groups[2])), 1)
}

// gradientDispatch encodes the dispatches of dst += x · wᵀ.
func gradientDispatch(e *encoder, o *linearOp, p *product, c *linearChoice) error {
	rows, out, in := p.rows, p.out, p.in
	across, along := (out+c.outs-1)/c.outs, (rows+c.rows-1)/c.rows
	push := shaders.LinearPush{Bias: shaders.Absent, Rows: uint32(rows), In: uint32(in), Out: uint32(out), Part: uint32(in)}

	parts := c.parts(e.limits(), p)
	target, access := o.dst, backend.Update
	if parts > 1 {
		push.Part, push.PartStride = uint32((in+parts-1)/parts), uint32(rows*out)
		var err error
		if target, err = e.sharedScratch(backend.F32, parts, rows, out); err != nil {
			return err
		}
		access = backend.Write
	}
	groups := [3]uint32{uint32(across), uint32(along), uint32(parts)}
	if err := gradientTiles(e, o, c, target, access, push, groups, c.pipeline(e.limits(), p)); err != nil || parts == 1 {
		return err
	}
	return sumRows(e, o.dst.Reshape(rows*out), target.Reshape(parts, rows*out))
}

// gradientTiles encodes the product, to dst or in parts to scratch memory.
func gradientTiles(e *encoder, o *linearOp, c *linearChoice, target backend.Tensor, access backend.Access, push shaders.LinearPush, groups [3]uint32, spec pipelineSpec) error {
	var x, w binding
	if c.texel {
		x, push.X, _ = e.texels(o.x)
		w, push.W, _ = e.texels(o.w)
	} else {
		x, push.X = e.operand(o.x, backend.Read)
		w, push.W = e.operand(o.w, backend.Read)
	}
	dst, base := e.operand(target, access)
	push.Dst, push.DstStride = base, uint32(target.Stride(2))
	push.XStride, push.WStride = uint32(o.x.Stride(3)), uint32(o.w.Stride(3))
	bindings := []binding{dst, x, w}
	if c.tile > 0 { // which have a bias and a residual too
		none, _ := e.operand(backend.Tensor{}, backend.Read)
		bindings = append(bindings, none, none)
	} else {
		groups[0], groups[1] = groups[1], groups[0]
	}
	spec.work = o.work()
	return e.dispatch(spec, push, groups, bindings...)
}

// sumRows adds the rows of a matrix to a vector.
func sumRows(e *encoder, dst, x backend.Tensor) error {
	n := dst.Dim(3)
	columns := inWhole(min(e.maxAlong(dst, 3), e.maxAlong(x.Slice(2, 0, 1), 3)), 4, n)
	return each(n, columns, func(c, cEnd int) error {
		dst, x := dst.Slice(3, c, cEnd), x.Slice(3, c, cEnd)
		return each(x.Dim(2), min(e.maxRows(x), e.maxRounds()), func(r, rEnd int) error {
			x := x.Slice(2, r, rEnd)
			to, toBase := e.operand(dst, backend.Update)
			from, fromBase := e.operand(x, backend.Read)
			macros, fours := strings.Join(storage("", x.DType), " "), inFours(dst, toBase) && inFours(x, fromBase)
			p, units, err := e.inUnits("sum_rows", macros, fours, func(v *shaders.Variant, _ int) any { return e.sumLanes(v, x.Dim(2)) })
			if err != nil {
				return err
			}
			unit := uint32(units)
			n := uint32(cEnd-c) / unit
			return e.dispatch(p,
				shaders.SumRowsPush{
					Dst: toBase / unit, X: fromBase / unit, XStride: rowStride(x) / unit, Rows: uint32(x.Dim(2)), N: n,
				},
				[3]uint32{e.groups(0, int(n), int(lanesOf(p))), 1, 1},
				to, from)
		})
	})
}

// sumLanes is the workgroup that adds up columns of so many rows: neighbours,
// and how many share a column.
func (e *encoder) sumLanes(v *shaders.Variant, rows int) shaders.Workgroup2D {
	if e.tried != nil && e.tried.variant == v {
		return e.tried.spec.(shaders.Workgroup2D)
	}
	l := e.limits()
	if l.Software {
		return shaders.Workgroup2D{Lanes: max(l.SubgroupSize, 4), LanesY: 1}
	}
	if rows < 64 {
		return shaders.Workgroup2D{Lanes: 64, LanesY: 1}
	}
	return shaders.Workgroup2D{Lanes: 8, LanesY: min(32, l.Invocations/8, l.WorkgroupSize[1])}
}
