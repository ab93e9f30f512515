package cpu

import (
	"caldera/backend"
	"caldera/backend/cpu/internal/vec"
)

func init() {
	register(func(b *Backend, op *backend.Rotary) {
		b.parallel(op, op.X.Rows(), 0.2*float64(op.X.Shape[3]), rotaryRows)
	})
}

func rotaryRows(_ *worker, op backend.Op, from, to int) {
	o := op.(*backend.Rotary)
	size, pairs := o.HeadSize(), o.Pairs()
	sign := float32(1)
	if o.Inverse {
		sign = -1
	}
	for r := from; r < to; r++ {
		x, dst := row[float32](&o.X, r), row[float32](&o.Dst, r)
		seq, p := placeOf(&o.At, r)
		if seq == padding {
			clear(dst)
			continue
		}
		if seq < 0 || p < 0 || p >= o.Angles.Shape[2] {
			fill(dst, nan)
			continue
		}
		angles := row[float32](&o.Angles, p)
		cos, sin := angles[:pairs], angles[pairs:]
		for h := 0; h < len(x); h += size {
			head, turned := x[h:h+size], dst[h:h+size]
			if o.Pairing == backend.Neighbours {
				vec.RotatePairs(turned, head, cos, sin, sign)
			} else {
				vec.Rotate(turned, turned[pairs:], head, head[pairs:], cos, sin, sign)
			}
			copy(turned[2*pairs:], head[2*pairs:])
		}
	}
}
