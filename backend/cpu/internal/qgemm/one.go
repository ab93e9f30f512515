package qgemm

import "unsafe"

// oneFunc multiplies one row of x with some rows of weights where they lie. Strides, and memory ahead, are as of packFunc.
type oneFunc func(dst, init *float32, x, w *byte, ahead uintptr, stride, blocks int)

// oneKernel is a kernel for the only row of x.
type oneKernel struct {
	outputs int  // 8 or 16, and a divisor of the width of a strip
	packed  bool // x has been packed, for its numbers are used as f32; else it is a row of q8_a
	run     oneFunc
}

// Unpacked reports whether [Product.X] is the only row of activations as it is, rather than packed.
func (k *Kernels) Unpacked() bool { return k.one.run != nil && !k.one.packed }

// oneAhead is at least how many bytes one row asks for before it reads them.
const oneAhead = 12 << 10

// oneRow computes columns [c0, c1) of the only row.
func (p *Product) oneRow(ws *Workspace, c0, c1 int) {
	if c0 >= c1 {
		return
	}
	n, bytes := p.one.outputs, p.rowLen()
	ahead := (oneAhead + n*p.WStride - 1) / (n * p.WStride) * n // in rows of weights
	prefetch(&p.W[c0*p.WStride], min(firstStrip, min(ahead, c1-c0)*bytes))
	x, blocks := unsafe.SliceData(p.X), p.In/p.f.Len
	for c := c0; c < c1; c += n {
		columns := min(n, c1-c)
		w := p.W[c*p.WStride:][:(columns-1)*p.WStride+bytes]
		dst, init, stride := p.Dst[c:][:columns], ws.zeros[:n], p.WStride
		if p.Init != nil {
			init = p.Init[c:][:columns]
		}
		if columns == n {
			p.one.run(&dst[0], &init[0], x, unsafe.SliceData(w), p.address(c+ahead), stride, blocks)
			continue
		}
		ws.weights = grown(ws.weights, n*bytes)
		for o := range columns {
			copy(ws.weights[o*bytes:][:bytes], w[o*stride:])
		}
		clear(ws.weights[columns*bytes:])
		clear(ws.sums[:n])
		copy(ws.sums[:], init[:columns])
		p.one.run(&ws.sums[0], &ws.sums[0], x, &ws.weights[0], p.address(c), bytes, blocks)
		copy(dst, ws.sums[:])
	}
}
