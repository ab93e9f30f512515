package conformance

import (
	"math"

	"github.com/x448/float16"

	"caldera/backend"
)

// linearMutants compute a product, or an activation, wrongly.
var linearMutants = []struct {
	name, group string
	open        func() backend.Backend
}{
	{"drops the bias", "linear", wrong(func(o *backend.Linear) { o.Bias = backend.Tensor{}; right(o) })},
	{"skips the last row", "linear", wrong(func(o *backend.Linear) {
		if n := o.X.Dim(-2); n > 1 {
			o.X, o.Dst = o.X.Slice(-2, 0, n-1), o.Dst.Slice(-2, 0, n-1)
		}
		right(o)
	})},
	{"skips the last output", "linear", wrong(func(o *backend.Linear) {
		if n := o.W.Dim(-2); n > 1 {
			o.W, o.Dst = o.W.Slice(-2, 0, n-1), o.Dst.Slice(-1, 0, n-1)
			if !o.Bias.Absent() {
				o.Bias = o.Bias.Slice(-1, 0, n-1)
			}
		}
		right(o)
	})},
	{"leaves the last term out of each sum", "linear", wrong(func(o *backend.Linear) {
		if n := o.W.Dim(-1); n > 500 {
			o.W, o.X = o.W.Slice(-1, 0, n-1), o.X.Slice(-1, 0, n-1)
		}
		right(o)
	})},
	{"ignores w's orientation", "linear", wrong(func(o *backend.Linear) {
		if o.W.Stride(-1) != 1 {
			o.W.Strides[2], o.W.Strides[3] = o.W.Dim(-1), 1
		}
		right(o)
	})},
	{"ignores gaps between rows", "linear", wrong(func(o *backend.Linear) { o.X.Strides[2] = o.X.Dim(-1); right(o) })},
	{"takes the outer axes to line up", "linear", wrong(func(o *backend.Linear) {
		o.X.Strides[1] = o.X.Dim(2) * o.X.Strides[2]
		right(o)
	})},
	{"ignores an offset", "linear", wrong(func(o *backend.Linear) { o.W.Offset = 0; right(o) })},
	{"rounds an offset to whole words", "linear", wrong(func(o *backend.Linear) {
		if o.W.DType == backend.F16 {
			o.W.Offset &^= 1
		}
		right(o)
	})},
	{"writes one element beyond", "linear", wrong(func(o *backend.Linear) {
		right(o)
		poke(o.Dst, o.Dst.Row(o.Dst.Rows()-1)+o.Dst.Dim(-1), 0)
	})},
	{"writes one element before", "linear", wrong(func(o *backend.Linear) { right(o); poke(o.Dst, o.Dst.Offset-1, 0) })},
	{"writes to a source", "linear", wrong(func(o *backend.Linear) { right(o); poke(o.X, o.X.Offset, 0) })},
	{"keeps f16 weights as bf16", "linear", wrong(func(o *backend.Linear) {
		if o.W.DType == backend.F16 {
			o.W = copied(o.W, truncated(7))
		}
		right(o)
	})},
	{"multiplies in f16", "linear", wrong(func(o *backend.Linear) { o.X = copied(o.X, truncated(10)); right(o) })},
	{"adds up products of f16 in f16", "linear", wrong(func(o *backend.Linear) {
		right(o)
		if o.X.DType == backend.F16 {
			direct{}.Store(o.Dst, direct{}.Load(copied(o.Dst, truncated(10))))
		}
	})},
	{"does not round x", "linear", wrong(func(o *backend.Linear) {
		if !o.Rounded.Absent() {
			right(&backend.Copy{Dst: o.Rounded, X: o.X})
			o.X, o.Rounded = o.Rounded, backend.Tensor{}
		}
		right(o)
	})},
	{"does not round x behind a norm", "linear", wrong(func(o *backend.Linear) {
		if !o.Norm.Gamma.Absent() && !o.InBlocks() {
			o.Rounded = backend.Tensor{}
		}
		right(o)
	})},
	{"cuts x off instead of rounding it", "linear", wrong(roundedBy(truncated(10)))},
	{"rounds x to bf16", "linear", wrong(roundedBy(truncated(7)))},
	{"does not scale rows that f16 cannot hold", "linear", wrong(roundedBy(func(v float64) float64 {
		return float64(float16.Fromfloat32(float32(math.Max(-65504, math.Min(v, 65504)))).Float32())
	}))},
	{"does not scale rows of denormals", "linear", wrong(roundedBy(func(v float64) float64 {
		if math.Abs(v) < 65504 {
			v = float64(float16.Fromfloat32(float32(v)).Float32())
		}
		return v
	}))},
	{"rounds to 10 bits", "round", wrong(func(o *backend.Round) { o.X = copied(o.X, truncated(9)); right(o) })},
	{"rounds ties away from 0", "round", wrong(func(o *backend.Round) {
		o.X = copied(o.X, func(v float64) float64 { return v * (1 + 0x1p-23) })
		right(o)
	})},
	{"multiplies in tf32", "linear", wrong(func(o *backend.Linear) { o.W = copied(o.W, truncated(10)); right(o) })},
	{"adds the bias after the activation", "linear", wrong(func(o *backend.Linear) {
		bias := o.Bias
		if bias.Absent() || o.Activation == backend.NoActivation {
			right(o)
			return
		}
		o.Bias = backend.Tensor{}
		right(o)
		b := direct{}.Load(bias)
		eachVector(o.Dst, o.Dst, func(x, dst []float64) {
			for i := range dst {
				dst[i] = x[i] + b.v[i]
			}
		})
	})},
	{"forgets the activation", "linear", wrong(func(o *backend.Linear) { o.Activation = backend.NoActivation; right(o) })},
	{"forgets the residual", "linear", wrong(func(o *backend.Linear) { o.Residual = backend.Tensor{}; right(o) })},
	{"forgets the residual beside an activation", "linear", wrong(func(o *backend.Linear) {
		if o.Activation != backend.NoActivation {
			o.Residual = backend.Tensor{}
		}
		right(o)
	})},
	{"adds the residual before the activation", "linear", wrong(func(o *backend.Linear) {
		if o.Activation == backend.NoActivation || o.Residual.Absent() {
			right(o)
			return
		}
		residual := o.Residual
		o.Residual = backend.Tensor{}
		right(&backend.Linear{Dst: o.Sum, X: o.X, W: o.W, Bias: o.Bias})
		right(&backend.Add{Dst: o.Dst, A: o.Sum, B: residual})
		right(&backend.Activate{Dst: o.Sum, X: o.Dst, Func: o.Activation})
		right(&backend.Copy{Dst: o.Dst, X: o.Sum})
	})},
	{"has GELU's tanh form for each activation", "linear", wrong(func(o *backend.Linear) {
		if o.Activation != backend.NoActivation {
			o.Activation = backend.GELUTanh
		}
		right(o)
	})},
	{"adds what scratch memory holds", "linear", wrong(func(o *backend.Linear) {
		if !o.HasEpilogue() {
			right(o)
			return
		}
		old := copied(o.Sum, func(v float64) float64 { return v })
		right(o)
		right(&backend.Add{Dst: o.Sum, A: o.Dst, B: old})
		right(&backend.Copy{Dst: o.Dst, X: o.Sum})
	})},
	{"computes erf's GELU for tanh's", "activate", wrong(swapped(backend.GELUTanh, backend.GELUErf))},
	{"computes tanh's GELU for erf's", "activate", wrong(swapped(backend.GELUErf, backend.GELUTanh))},
	{"computes the sigmoid's GELU for tanh's", "activate", wrong(swapped(backend.GELUTanh, backend.GELUSigmoid))},
	{"computes SiLU for the sigmoid's GELU", "activate", wrong(swapped(backend.GELUSigmoid, backend.SiLU))},
	{"computes GELU for SiLU", "activate", wrong(swapped(backend.SiLU, backend.GELUSigmoid))},
	{"computes GELU for ReLU", "activate", wrong(swapped(backend.ReLU, backend.GELUTanh))},
	{"has an erf of five digits", "activate", wrong(func(o *backend.Activate) {
		if o.Func != backend.GELUErf {
			right(o)
			return
		}
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			for i, v := range x { // Abramowitz and Stegun 7.1.25
				z := math.Abs(v) / math.Sqrt2
				t := 1 / (1 + 0.47047*z)
				erf := 1 - t*(0.3480242+t*(-0.0958798+t*0.7478556))*math.Exp(-z*z)
				dst[i] = v / 2 * (1 + math.Copysign(erf, v))
			}
		})
	})},
	{"overflows in tanh made from exp", "activate", wrong(func(o *backend.Activate) {
		eachVector(o.Dst, o.X, func(x, dst []float64) {
			for i, v := range x {
				z := math.Sqrt(2/math.Pi) * (v + 0.044715*v*v*v)
				e := float64(float32(math.Exp(2 * z)))
				dst[i] = v / 2 * (1 + (e-1)/(e+1))
			}
		})
	})},
}

// roundedBy is a product that rounds x by f.
func roundedBy(f func(float64) float64) func(o *backend.Linear) {
	return func(o *backend.Linear) {
		if !o.Rounded.Absent() {
			x := copied(o.X, f)
			right(&backend.Copy{Dst: o.Rounded, X: x})
			o.X, o.Rounded = o.Rounded, backend.Tensor{}
		}
		right(o)
	}
}
