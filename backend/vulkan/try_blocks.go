//go:build cgo

package vulkan

import (
	"math"
	"slices"

	"caldera/backend"
)

// tryBlocks has the product convert x, a row, to blocks, and returns what these hold, and how far off
// they may be: with a norm before, whose results are rounded, a number may be rounded the other way.
func (p *product) tryBlocks(o *linearOp, x []float32) (held []float32, off []float64) {
	o.rounded = backend.Of(nil, p.joined.blocks, 0, 1, p.in) // present: it is not used
	convert := func(by float64) []float32 {
		v := slices.Clone(x)
		for i := range v {
			v[i] += float32(by * (math.Abs(float64(v[i])) + 3))
		}
		bytes, err := backend.Encode(nil, p.joined.blocks, v)
		if err == nil {
			err = backend.Decode(v, p.joined.blocks, bytes)
		}
		if err != nil {
			panic(err) // they are whole blocks
		}
		return v
	}
	held, off = convert(0), make([]float64, len(x))
	if p.joined.norm == 0 {
		return held, off
	}
	for _, by := range []float64{1.0 / (1 << 18), -1.0 / (1 << 18)} {
		for i, v := range convert(by) {
			off[i] = max(off[i], math.Abs(float64(v)-float64(held[i])))
		}
	}
	return held, off
}
