package cpu

import "caldera/backend"

func init() {
	register(func(b *Backend, op *backend.Dropout) {
		b.parallel(op, op.X.Rows(), 5*float64(op.X.Shape[3]), dropoutRows)
	})
}

func dropoutRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Dropout)
	var seed [4]uint32
	for i := range seed {
		seed[i] = uint32(at[int32](&o.Seed, 0, i))
	}
	threshold, scale := o.Threshold(), o.Scale()
	n := o.X.Shape[3]
	var words [4]uint32
	for r := from; r < to; r++ {
		x, dst := row[float32](&o.X, r), row[float32](&o.Dst, r)
		for j, v := range x {
			i := r*n + j
			if j == 0 || i%4 == 0 {
				words = backend.Philox([2]uint32(seed[:2]), [4]uint32{uint32(i / 4), o.Stream, seed[2], seed[3]})
			}
			if words[i%4] < threshold {
				dst[j] = 0
			} else {
				dst[j] = v * scale
			}
		}
	}
}
