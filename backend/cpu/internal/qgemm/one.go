package qgemm

import (
	"unsafe"

	"caldera/backend/cpu/internal/isa"
)

// oneFunc multiplies one row of x with some rows of weights where they lie: w is the first of these, and stride the bytes from
// one to the next. As much of so many rows is asked for from ahead on, which need not be there; with l1 it comes into the L1
// cache, else into L2.
type oneFunc func(dst, init *float32, x, w *byte, ahead uintptr, stride, blocks int, l1 bool)

// oneKernel is a kernel for the only row of x.
type oneKernel struct {
	outputs int  // 8 or 16, and a divisor of the width of a strip
	packed  bool // x has been packed, for its numbers are used as f32; else it is a row of q8_a
	run     oneFunc
}

// Unpacked reports whether [Product.X] is the only row of activations as it is, rather than packed.
func (k *Kernels) Unpacked() bool { return k.one.run != nil && !k.one.packed }

// Runs is in how many runs, equal parts of the columns that [Product.Columns] is given, weights are read at once.
func (k *Kernels) Runs() int { return max(1, k.one.outputs) }

// oneAhead is how many bytes are asked for, of each run, before they are read.
const oneAhead = 1024

// oneRow computes columns [c0, c1) of the only row. The rows that a kernel reads at once are far from each other: each is
// followed by the one that its place has next, so that memory is read in as many long runs, which the processor
// foresees, rather than in rows that are too short for that. At the end of runs it is the next ones' beginning that is asked for.
func (p *Product) oneRow(ws *Workspace, c0, c1 int) {
	n, bytes := p.one.outputs, p.rowLen()
	x, blocks := unsafe.SliceData(p.X), p.In/p.f.Len
	for first := true; c1-c0 >= n; first = false {
		rows := isa.RunRows(c1-c0, n, p.WStride)
		far := rows * p.WStride
		for k := 0; first && k < n; k++ {
			prefetch(&p.W[c0*p.WStride+k*far], min(oneAhead, far))
		}
		for c := c0; c < c0+rows; c++ {
			w := p.W[c*p.WStride:][:(n-1)*far+bytes]
			init := ws.zeros[:n]
			if p.Init != nil {
				init = ws.sums[:n]
				for k := range init {
					init[k] = p.Init[c+k*rows]
				}
			}
			ahead := p.address(c0) + uintptr(isa.AfterRun((c-c0)*p.WStride+oneAhead, n, far))
			p.one.run(&ws.sums[0], &init[0], x, unsafe.SliceData(w), ahead, far, blocks, isa.AheadL1)
			for k, v := range ws.sums[:n] {
				p.Dst[c+k*rows] = v
			}
		}
		c0 += n * rows
	}
	if c0 < c1 {
		columns := c1 - c0
		ws.weights = grown(ws.weights, n*bytes)
		for o := range columns {
			copy(ws.weights[o*bytes:][:bytes], p.W[(c0+o)*p.WStride:])
		}
		clear(ws.weights[columns*bytes:])
		clear(ws.sums[:n])
		if p.Init != nil {
			copy(ws.sums[:columns], p.Init[c0:])
		}
		p.one.run(&ws.sums[0], &ws.sums[0], x, &ws.weights[0], p.address(c1), bytes, blocks, isa.AheadL1)
		copy(p.Dst[c0:c1], ws.sums[:])
	}
}
