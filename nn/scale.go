package nn

import (
	"errors"

	"caldera/backend"
)

// Scale multiplies each row of x by a number of its own, of by: [..., 1], each other
// axis as long as x's or 1. Backward passes a gradient on to x; by has none, so that
// it must be neither a result of the tape nor a parameter.
func (t *Tape) Scale(x, by Tensor) Tensor {
	dst := t.like(x)
	t.add(&backend.Scale{Dst: dst, X: x, By: by})
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Scale, dy Tensor) error {
		if _, result := o.By.Buf.(*slot); result || !b.params.grad(o.By).Absent() {
			return errors.New("there is no rule for the gradient of by, its factors: " +
				"expected numbers that the host writes, not a result of the tape or a parameter")
		}
		b.add(&backend.Scale{Dst: b.dst(o.X), X: dy, By: o.By})
		return nil
	})
}
