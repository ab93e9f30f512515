//go:build cgo

package vulkan

import (
	"math"
	"slices"

	"caldera/backend"
)

// tryInBlocks has the product convert x, a row, to blocks, and returns what these hold, and how far off
// they may be: with a norm before, whose results are rounded, a number may be rounded the other way.
func (p *product) tryInBlocks(o *linearOp, x []float32) (held []float32, apart []float64) {
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
	held, apart = convert(0), make([]float64, len(x))
	if p.joined.norm == 0 {
		return held, apart
	}
	for _, by := range []float64{1.0 / (1 << 18), -1.0 / (1 << 18)} {
		for i, v := range convert(by) {
			apart[i] = max(apart[i], math.Abs(float64(v)-float64(held[i])))
		}
	}
	return held, apart
}

// tryRounded returns x in the precision of f16, and how far off that may be: as in tryInBlocks.
func (p *product) tryRounded(x []float32) (held []float32, apart []float64) {
	held, apart = make([]float32, len(x)), make([]float64, len(x))
	for i, v := range x {
		held[i] = backend.RoundF16(v)
		if p.joined.norm == 0 {
			continue
		}
		off := (float32(math.Abs(float64(v))) + 3) / (1 << 18)
		for _, v := range []float32{v - off, v + off} {
			apart[i] = max(apart[i], math.Abs(float64(backend.RoundF16(v))-float64(held[i])))
		}
	}
	return held, apart
}

// tryNorm adds a norm to the product, and returns x after it.
func (p *product) tryNorm(t *trials, o *linearOp, x []float32) []float32 {
	const epsilon = 0.5 // so large that it shows
	gamma, beta := t.integers(p.in, 3), t.integers(p.in, 3)
	g, _ := t.operand(backend.F32, gamma, 1, p.in, 0)
	o.norm.Gamma, o.norm.Epsilon = g.Reshape(p.in), epsilon
	if p.joined.norm == 1 {
		b, _ := t.operand(backend.F32, beta, 1, p.in, 0)
		o.norm.Beta = b.Reshape(p.in)
	} else {
		clear(beta)
	}
	var y []float32
	for row := range slices.Chunk(x, p.in) {
		y = append(y, normed(row, gamma, beta, p.joined.norm == 1, epsilon)...)
	}
	return y
}

// normed is a norm of a row: a layer norm, or by the root mean square.
func normed(x, gamma, beta []float32, centered bool, epsilon float64) []float32 {
	mean, square := 0.0, 0.0
	if centered {
		for _, v := range x {
			mean += float64(v) / float64(len(x))
		}
	}
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32((float64(v)-mean)/math.Sqrt(square+epsilon)*float64(gamma[i]) + float64(beta[i]))
	}
	return y
}

// showRounding changes the weights w of an output so that its sum in the first row of x shows whether x was rounded,
// which it was not before: what rounding changes does not cancel out. The sum is positive, and before a gate so small that no limit hides it.
func (p *product) showRounding(w, x, before []float32) {
	sum := 0.0
	for i := range w {
		if x[i] > before[i] != (w[i] < 0) {
			w[i] = -w[i]
		}
		sum += float64(w[i]) * float64(x[i])
	}
	by := float32(1)
	if sum < 0 {
		by = -1
	}
	for p.joined.gate && math.Abs(sum*float64(by)) > triedLimit/2 {
		by /= 2
	}
	for i := range w {
		w[i] *= by
	}
}

// unrounded places x, [rows, in], with more bits than rounding leaves, and returns it: rows that f16
// holds, and rows that it does not, where nothing but a scale helps, or only as denormals.
func (p *product) unrounded(t *trials, c *linearChoice, x []float32) (backend.Tensor, []float32) {
	values := make([]float32, len(x))
	for i, v := range x {
		row, in := i/p.in, i%p.in
		switch by := []float64{1, 0x1p17, 0x1p-30, 1, 0x1p-2}[row%5]; {
		case row%5 == 3 && in > 1:
			v = 0
		case row%5 == 3:
			v = []float32{1, 0x3p-16}[in]
		default:
			v *= float32(by * (1 + 0x1p-13*float64(1-2*(in%2))))
		}
		values[i] = v
	}
	return t.operand(p.x, values, p.rows, p.in, c.pad(p.in))
}

// sizeOfX is a power of two by which values are multiplied in x, so that sums of them have as many bits as before.
func (p *product) sizeOfX() float32 {
	switch {
	case p.out%2 == 1 && (p.x.Quantized() || p.joined.blocks != backend.None):
		return 0x1p-20 // scales that are denormal in f16
	case p.joined.cache == backend.F16 && p.joined.norm == 0 && p.activation == backend.NoActivation:
		return 0x1p-10 // a rotation makes sums four times as large, and f16 holds them: values tells how large they are
	}
	return 1
}

// sizeOfW is a power of two by which values are multiplied in w: with one of two, scales are denormal in f16, where kernels leave
// their conversion to the device.
func (p *product) sizeOfW() float32 {
	if p.out%2 == 1 && takesRuns(p.w) {
		return 0x1p-18
	}
	return 1
}
