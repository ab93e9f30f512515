package conformance

// A suite that passes whatever it is given proves nothing. Here are backends
// that compute one op wrongly, and each must fail the group of checks that is
// there to catch it. To add one: an entry in the table, with the fault as a
// function.

import (
	"math"
	"slices"
	"testing"

	"caldera/backend"
)

var opMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"divides the variance by n-1", "layernorm", wrong(func(o *backend.LayerNorm) { wrongNorm(o, 1, float64(o.Epsilon), false) })},
	{"leaves epsilon out", "layernorm", wrong(func(o *backend.LayerNorm) { wrongNorm(o, 0, 0, false) })},
	{"has another epsilon", "layernorm", wrong(func(o *backend.LayerNorm) { o.Epsilon = 1e-6; right(o) })},
	{"takes the variance as E[x²] - E[x]²", "layernorm", wrong(func(o *backend.LayerNorm) { wrongNorm(o, 0, float64(o.Epsilon), true) })},
	{"adds epsilon outside of the root", "rmsnorm", wrong(func(o *backend.RMSNorm) {
		gamma := direct{}.Load(o.Gamma)
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			squares := 0.0
			for _, v := range x {
				squares += v * v
			}
			for i, v := range x {
				dst[i] = v / (math.Sqrt(squares/float64(len(x))) + float64(o.Epsilon)) * gamma.v[i]
			}
		})
	})},
	{"leaves epsilon out", "rmsnorm", wrong(func(o *backend.RMSNorm) { o.Epsilon = 1e-30; right(o) })},
	{"takes the mean off", "rmsnorm", wrong(func(o *backend.RMSNorm) {
		beta := copied(o.Gamma, func(float64) float64 { return 0 })
		right(&backend.LayerNorm{Dst: o.Dst, X: o.X, Gamma: o.Gamma, Beta: beta, Epsilon: o.Epsilon})
	})},
	{"scales by 1 + gamma", "rmsnorm", wrong(func(o *backend.RMSNorm) {
		o.Gamma = copied(o.Gamma, func(v float64) float64 { return 1 + v })
		right(o)
	})},
	{"pairs the other way", "rotary", wrong(func(o *backend.Rotary) { o.Pairing = 1 - o.Pairing; right(o) })},
	{"is off by one position", "rotary", wrong(func(o *backend.Rotary) {
		last := float64(o.Angles.Dim(-2) - 1)
		o.At = moved(o.At, func(v float64) float64 {
			if v < 0 || v > last { // outside, which is another matter
				return v
			}
			return max(0, min(v+1, last))
		})
		right(o)
	})},
	{"turns the other way", "rotary", wrong(func(o *backend.Rotary) { o.Inverse = !o.Inverse; right(o) })},
	{"has one position for all sequences", "rotary", wrong(func(o *backend.Rotary) {
		onePosition(&o.At, o.X.Dim(-2))
		right(o)
	})},
	{"clamps positions to the table", "rotary", wrong(func(o *backend.Rotary) {
		last := float64(o.Angles.Dim(-2) - 1)
		o.At = moved(o.At, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"takes sines for neighbours of cosines", "rotary", wrong(func(o *backend.Rotary) {
		v := direct{}.Load(o.Angles)
		n, i := o.Angles.Dim(-1), -1
		o.Angles = copied(o.Angles, func(float64) float64 {
			i++
			return v.v[i/n*n+i%n%(n/2)*2+i%n/(n/2)]
		})
		right(o)
	})},
	{"clears what lies behind the pairs", "rotary", wrong(func(o *backend.Rotary) {
		right(o)
		for h := range o.Heads {
			if size, turned := o.HeadSize(), 2*o.Pairs(); turned < size {
				overwrites(o.Dst.Slice(-1, h*size+turned, (h+1)*size))
			}
		}
	})},
	{"swaps gate and up", "gated_activation", wrong(func(o *backend.GatedActivation) { o.Gate, o.Up = o.Up, o.Gate; right(o) })},
	{"takes erf's GELU for the tanh form", "gated_activation", wrong(func(o *backend.GatedActivation) {
		if o.Func == backend.GELUTanh {
			o.Func = backend.GELUErf
		}
		right(o)
	})},
	{"does not clamp", "gated_activation", wrong(func(o *backend.GatedActivation) { o.Limit = 0; right(o) })},
	{"clamps the gate from below", "gated_activation", wrong(func(o *backend.GatedActivation) {
		if o.Limit > 0 {
			o.Gate = copied(o.Gate, func(v float64) float64 { return max(v, -float64(o.Limit)) })
		}
		right(o)
	})},
	{"forgets the shift", "gated_activation", wrong(func(o *backend.GatedActivation) { o.Shift = 0; right(o) })},
	{"overflows in exp", "softmax", wrong(func(o *backend.Softmax) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			sum := float32(0)
			for _, v := range x {
				sum += float32(math.Exp(v))
			}
			for i, v := range x {
				dst[i] = float64(float32(math.Exp(v)) / sum)
			}
		})
	})},
	{"has the maximum begin at 0", "softmax", wrong(func(o *backend.Softmax) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			largest, sum := max(0, slices.Max(x)), float32(0)
			for _, v := range x {
				sum += float32(math.Exp(v - largest))
			}
			for i, v := range x {
				dst[i] = float64(float32(math.Exp(v-largest)) / sum)
			}
		})
	})},
	{"takes the highest of equals", "argmax", wrong(func(o *backend.Argmax) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			largest := math.Inf(-1)
			for i, v := range x {
				if v >= largest && v > math.Inf(-1) {
					largest, dst[0] = v, float64(i)
				}
			}
		})
	})},
	{"takes NaN for the largest", "argmax", wrong(func(o *backend.Argmax) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			largest := math.Inf(-1)
			for i, v := range x {
				if v > largest || math.IsNaN(v) {
					largest, dst[0] = v, float64(i)
				}
			}
		})
	})},
	{"has the maximum begin at -1e30", "argmax", wrong(func(o *backend.Argmax) {
		o.X = copied(o.X, func(v float64) float64 { return max(v, -1e30) })
		right(o)
	})},
	{"clamps ids to the vocabulary", "embedding", wrong(func(o *backend.Embedding) {
		last := float64(o.Tokens.Dim(-2) - 1)
		o.IDs = copied(o.IDs, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"counts positions from 0", "embedding", wrong(func(o *backend.Embedding) {
		if !o.At.Absent() {
			fromZero(&o.At, o.Dst.Dim(-2))
		}
		right(o)
	})},
	{"forgets the positions", "embedding", wrong(func(o *backend.Embedding) { o.Positions, o.At = backend.Tensor{}, backend.Tensor{}; right(o) })},
	{"clamps rows to the cache", "store", wrong(func(o *backend.Store) {
		last := float64(o.Dst.Dim(-2) - 1)
		o.At = moved(o.At, func(v float64) float64 { return max(0, min(v, last)) })
		right(o)
	})},
	{"clears the rows before", "store", wrong(func(o *backend.Store) {
		if at := int(direct{}.Load(o.At.Slice(-2, 1, 2)).v[0]); at > 0 && at < o.Dst.Dim(-2) {
			poke(o.Dst, o.Dst.Row(at-1), 0)
		}
		right(o)
	})},
	{"rounds to f16 towards zero", "store", wrong(func(o *backend.Store) {
		if o.Dst.DType == backend.F16 {
			o.X = copied(o.X, truncated(10))
		}
		right(o)
	})},
	{"flushes denormals of f16", "copy", wrong(func(o *backend.Copy) {
		if o.Dst.DType == backend.F16 && o.X.DType == backend.F32 {
			o.X = copied(o.X, func(v float64) float64 {
				if math.Abs(v) < 0x1p-14 {
					return 0
				}
				return v
			})
		}
		right(o)
	})},
	{"saturates instead of overflowing to infinity", "copy", wrong(func(o *backend.Copy) {
		if o.Dst.DType == backend.F16 && o.X.DType == backend.F32 {
			o.X = copied(o.X, func(v float64) float64 { return max(-65504, min(v, 65504)) })
		}
		right(o)
	})},
	{"passes integers through float32", "copy", wrong(func(o *backend.Copy) {
		if o.X.DType == backend.I32 {
			o.X = copied(o.X, func(v float64) float64 { return float64(float32(v)) })
		}
		right(o)
	})},
	{"ignores a stride of 0", "add", wrong(func(o *backend.Add) {
		if o.B.Strides[2] == 0 && o.B.Dim(2) > 1 {
			o.B = copied(o.B.Slice(2, 0, 1), func(v float64) float64 { return v })
			b := direct{}.Load(o.B)
			right(&backend.Add{Dst: o.Dst.Slice(2, 0, 1), A: o.A.Slice(2, 0, 1), B: o.B})
			for r := 1; r < o.A.Dim(2); r++ { // what lies behind the vector
				right(&backend.Add{Dst: o.Dst.Slice(2, r, r+1), A: o.A.Slice(2, r, r+1),
					B: copied(o.B, func(v float64) float64 { return v + b.v[0] })})
			}
			return
		}
		right(o)
	})},
	{"has one factor for all heads", "scale", wrong(func(o *backend.Scale) {
		if o.By.Dim(2) > 1 {
			o.By = o.By.Slice(2, 0, 1)
		}
		right(o)
	})},
	{"repeats factors along the wrong axis", "scale", wrong(func(o *backend.Scale) {
		if o.By.Dim(2) > 1 && o.By.Dim(1) == 1 && o.X.Dim(1) > 1 { // counts on through all rows
			by := direct{}.Load(o.By)
			i := -1
			o.By = copied(o.X.Slice(-1, 0, 1), func(float64) float64 { i++; return by.v[i/o.X.Dim(2)%len(by.v)] })
		}
		right(o)
	})},
	{"rounds a product by 1", "scale", wrong(func(o *backend.Scale) {
		right(o)
		x, dst := direct{}.Load(o.X), direct{}.Load(o.Dst)
		for i, v := range dst.v {
			if v == x.v[i] && math.Abs(v) > 1 && math.Abs(v) < 10 {
				dst.v[i] *= 1 + 0x1p-23
			}
		}
		direct{}.Store(o.Dst, dst)
	})},
	{"leaves what is scaled by 0 as it was", "scale", wrong(func(o *backend.Scale) {
		by := o.Factors()
		x := o.X
		for r := range x.Rows() {
			i, j, k := r/x.Dim(2)/x.Dim(1), r/x.Dim(2)%x.Dim(1), r%x.Dim(2)
			at := func(t backend.Tensor) backend.Tensor { return t.Slice(0, i, i+1).Slice(1, j, j+1).Slice(2, k, k+1) }
			if factor := at(by); (direct{}).Load(factor).v[0] != 0 {
				right(&backend.Scale{Dst: at(o.Dst), X: at(o.X), By: factor})
			}
		}
	})},
	{"gives other bits each time", "add", func() func() backend.Backend {
		n := 0
		return wrong(func(o *backend.Add) {
			right(o)
			n++
			o.Dst = o.Dst.Slice(-1, 0, 1).Slice(-2, 0, 1)
			v := direct{}.Load(o.Dst)
			v.v[0] *= 1 + float64(n%2)*0x1p-24
			direct{}.Store(o.Dst, v)
		})
	}()},
	{"computes erf's GELU for tanh's", "model", wrong(swapped(backend.GELUTanh, backend.GELUErf))},
	{"has another epsilon", "model", wrong(func(o *backend.LayerNorm) { o.Epsilon = 1e-3; right(o) })},
	{"counts positions from 0", "model", wrong(func(o *backend.Embedding) {
		fromZero(&o.At, o.Dst.Dim(-2))
		right(o)
	})},
	{"sees only what this pass stored", "model", wrong(func(o *backend.Attention) {
		if o.Q.Dim(-2) == 1 {
			at := direct{}.Load(o.At.Slice(-2, 1, 2))
			for b := range at.v {
				if p := int(at.v[b]); p > 0 {
					c := o.K.Slice(1, b, b+1).Slice(2, 0, p)
					direct{}.Store(c, NewValues(c.Len()))
				}
			}
		}
		right(o)
	})},
}

// onePosition lets all sequences of so many tokens begin where the first one does.
func onePosition(at *backend.Tensor, time int) {
	pos, i := direct{}.Load(at.Slice(-2, 1, 2)), -1
	*at = moved(*at, func(float64) float64 { i++; return pos.v[i%time] })
}

// fromZero lets them begin at 0.
func fromZero(at *backend.Tensor, time int) {
	i := -1
	*at = moved(*at, func(float64) float64 { i++; return float64(i % time) })
}

// wrongNorm is a layer norm of float32 sums with a choice of mistakes.
func wrongNorm(o *backend.LayerNorm, less int, eps float64, onePass bool) {
	gamma, beta := direct{}.Load(o.Gamma), direct{}.Load(o.Beta)
	eachVector(o.Dst, o.X, func(x, dst []float64) {
		var sum, squares float32
		for _, v := range x {
			sum += float32(v)
			squares += float32(v) * float32(v)
		}
		mean := float64(sum) / float64(len(x))
		variance := float64(squares)/float64(len(x)) - float64(float32(mean)*float32(mean))
		if !onePass {
			variance = 0
			for _, v := range x {
				variance += (v - mean) * (v - mean)
			}
			variance /= float64(max(1, len(x)-less))
		}
		for i, v := range x {
			dst[i] = (v-mean)/math.Sqrt(variance+eps)*gamma.v[i] + beta.v[i]
		}
	})
}

func TestOpMutants(t *testing.T) {
	for _, m := range slices.Concat(opMutants, attentionMutants, stepMutants, linearMutants, joinedMutants, sampleMutants, expertMutants) {
		t.Run(m.group+"/"+m.name, func(t *testing.T) {
			caught := examine(m.open, m.group)
			if len(caught) == 0 {
				t.Fatal("no check failed")
			}
			t.Log(caught[0])
		})
	}
}
