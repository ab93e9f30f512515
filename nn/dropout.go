package nn

import "caldera/backend"

// Dropout sets elements of x to 0 at random, and makes up for it in the others,
// on a tape that was told so by Train; on others it is x. Dropouts of a tape
// differ from each other.
func (t *Tape) Dropout(x Tensor) Tensor { return t.drop(x, t.training.Dropout) }

// drop is Dropout with the probability rate.
func (t *Tape) drop(x Tensor, rate float32) Tensor {
	if rate == 0 {
		return x
	}
	dst := t.like(x)
	t.add(&backend.Dropout{Dst: dst, X: x, Seed: t.training.Seed, Rate: rate, Stream: t.dropouts})
	t.dropouts++
	return dst
}

func init() {
	rule(func(b *backward, o *backend.Dropout, dy Tensor) error {
		b.add(&backend.Dropout{Dst: b.dst(o.X), X: dy, Seed: o.Seed, Rate: o.Rate, Stream: o.Stream})
		return nil
	})
}
