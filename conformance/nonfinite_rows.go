package conformance

// Cases with NaN and infinities of ops on vectors.

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func softmaxNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.Softmax, Fill) {
		return &backend.Softmax{Dst: rowsOf(l), X: rowsOf(l)}, nil
	}, func(o *backend.Softmax) { putRows(o.X) })
}

// eachActivation makes cases of each function, those of GELUTanh in each layout.
func eachActivation(of func(f backend.Activation, ls []layout) []Case) []Case {
	var cases []Case
	for _, f := range backend.Activations() {
		ls := rowLayouts
		if f != backend.GELUTanh {
			ls = ls[:1]
		}
		cases = append(cases, of(f, ls)...)
	}
	return cases
}

func activateNonFinite() []Case {
	return eachActivation(func(f backend.Activation, ls []layout) []Case {
		return poisoned(SameBits, f.String()+",not finite", ls, func(l layout) (*backend.Activate, Fill) {
			return &backend.Activate{Dst: rowsOf(l), X: rowsOf(l), Func: f}, nil
		}, func(o *backend.Activate) { putRows(o.X) })
	})
}

func activateBackwardNonFinite() []Case {
	return eachActivation(func(f backend.Activation, ls []layout) []Case {
		build := func(l layout) (*backend.ActivateBackward, Fill) {
			return &backend.ActivateBackward{DX: rowsOf(l), X: rowsOf(l), DY: rowsOf(l), Func: f}, nil
		}
		return append(poisoned(SameBits, f.String()+",x is not finite", ls, build, func(o *backend.ActivateBackward) { putRows(o.X) }),
			poisoned(SameBits, f.String()+",dy is not finite", ls, build, func(o *backend.ActivateBackward) { putRows(o.DY) })...)
	})
}

func addNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.Add, Fill) {
		return &backend.Add{Dst: rowsOf(l), A: rowsOf(l), B: rowsOf(l)}, nil
	}, func(o *backend.Add) {
		putRows(o.A)
		put(o.B, 5, 3, inf) // −∞ + ∞
		put(o.B, 6, 0, nan)
		put(o.B, 9, 0, inf)
	})
}

func argmaxNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.Argmax, Fill) {
		return &backend.Argmax{Dst: l.tensor(backend.I32, poisonedRows, 1), X: rowsOf(l)}, nil
	}, func(o *backend.Argmax) { putRows(o.X) })
}

func copyNonFinite() []Case {
	var cases []Case
	for _, d := range [][2]backend.DType{{backend.F32, backend.F32}, {backend.F16, backend.F32}, {backend.F32, backend.F16}, {backend.F16, backend.F16}} {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("dst=%v,x=%v,not finite", d[0], d[1]), rowLayouts,
			func(l layout) (*backend.Copy, Fill) {
				return &backend.Copy{Dst: l.tensor(d[0], poisonedRows, 20), X: l.tensor(d[1], poisonedRows, 20)}, nil
			}, func(o *backend.Copy) { putRows(o.X) })...)
	}
	return cases
}

func storeNonFinite() []Case {
	var cases []Case
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("dst=%v,not finite", d), rowLayouts, func(l layout) (*backend.Store, Fill) {
			o := &backend.Store{Dst: l.tensor(d, 1, poisonedRows+3, 14), X: l.tensor(backend.F32, 1, poisonedRows, 14), At: l.ints(1)}
			return o, func(*rand.Rand, int) { set(o.At, 2) }
		}, func(o *backend.Store) { putRows(o.X) })...)
	}
	return cases
}

func dropoutNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.Dropout, Fill) {
		o := &backend.Dropout{Dst: rowsOf(l), X: rowsOf(l), Seed: l.ints(4), Rate: 0.4, Stream: 3}
		return o, func(r *rand.Rand, _ int) { uniform(o.Seed, r, 0, 1<<30) }
	}, func(o *backend.Dropout) { putRows(o.X) })
}

func sumSquaresNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.SumSquares, Fill) {
		return &backend.SumSquares{Dst: l.tensor(backend.F32, poisonedRows, 1), X: rowsOf(l)}, nil
	}, func(o *backend.SumSquares) { putRows(o.X) })
}

func globalNormNonFinite() []Case {
	var cases []Case
	for _, limit := range []float32{1, float32(inf)} {
		for _, v := range []float64{nan, negativeNaN, inf} {
			cases = append(cases, poisoned(SameBits, fmt.Sprintf("max=%v,%v among x", limit, v), []layout{exact}, func(l layout) (*backend.GlobalNorm, Fill) {
				o := &backend.GlobalNorm{Dst: l.tensor(backend.F32, 2), X: l.tensor(backend.F32, 65), Max: limit}
				return o, func(r *rand.Rand, _ int) { fill(o.X, func(int) float64 { return r.ExpFloat64() }) }
			}, func(o *backend.GlobalNorm) { put(o.X, 0, 40, v) })...)
		}
	}
	return cases
}

func layerNormNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l layout) (*backend.LayerNorm, Fill) {
		x := rowsOf(l)
		return &backend.LayerNorm{Dst: rowsOf(l), X: x, Gamma: l.tensor(backend.F32, x.Dim(-1)), Beta: l.tensor(backend.F32, x.Dim(-1)), Epsilon: 1e-5}, nil
	}, func(o *backend.LayerNorm) {
		putRows(o.X)
		put(o.Gamma, 0, 4, nan)
		put(o.Beta, 0, 9, -inf)
	})
}

func layerNormBackwardNonFinite() []Case {
	build := func(l layout) (*backend.LayerNormBackward, Fill) {
		x := rowsOf(l)
		vector := func() backend.Tensor { return l.tensor(backend.F32, x.Dim(-1)) }
		return &backend.LayerNormBackward{DX: rowsOf(l), DGamma: vector(), DBeta: vector(), X: x, DY: rowsOf(l), Gamma: vector(),
			Stats: l.tensor(backend.F32, poisonedRows, 2), Epsilon: 1e-5}, nil
	}
	return append(append(
		poisoned(SameBits, "x is not finite", rowLayouts, build, func(o *backend.LayerNormBackward) { putRows(o.X) }),
		poisoned(SameBits, "dy is NaN", rowLayouts, build, func(o *backend.LayerNormBackward) {
			put(o.DY, 0, 0, nan)
			put(o.DY, 4, -1, negativeNaN)
			put(o.DY, 7, 13, nan)
		})...),
		poisoned(SameBits, "gamma is NaN", rowLayouts[:1], build, func(o *backend.LayerNormBackward) { put(o.Gamma, 0, 3, nan) })...)
}

func crossEntropyNonFinite() []Case {
	build := func(l layout) (*backend.CrossEntropy, Fill) {
		x := rowsOf(l)
		if l == exact { // as nn lays out scores
			x = l.fours(backend.F32, poisonedRows, 63)
		}
		o := &backend.CrossEntropy{Loss: l.tensor(backend.F32, poisonedRows), X: x, Targets: l.ints(poisonedRows),
			LossScale: l.tensor(backend.F32, 1), Scale: 0.25}
		return o, func(r *rand.Rand, _ int) {
			uniform(o.Targets, r, 0, x.Dim(-1))
			put(o.Targets, 0, 4, float64(x.Dim(-1)/2)) // where putRows has −∞
			put(o.Targets, 0, 8, -1)                   // a row of NaN that does not count
		}
	}
	return append(poisoned(SameBits, "not finite", rowLayouts, build, func(o *backend.CrossEntropy) { putRows(o.X) }),
		poisoned(SameBits, "the loss scale is NaN", rowLayouts[:1], build, func(o *backend.CrossEntropy) { set(o.LossScale, nan) })...)
}

func adamWNonFinite() []Case {
	build := func(l layout) (*backend.AdamW, Fill) {
		o := &backend.AdamW{W: rowsOf(l), M: rowsOf(l), V: rowsOf(l), G: rowsOf(l), Step: l.tensor(backend.F32, 3), Scale: l.tensor(backend.F32, 1),
			Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.1}
		return o, func(r *rand.Rand, _ int) {
			fill(o.V, func(int) float64 { return r.ExpFloat64() })
			set(o.Step, 1e-3, 0.1, 0.001)
			set(o.Scale, 0.5)
		}
	}
	return append(poisoned(SameBits, "not finite", rowLayouts, build, func(o *backend.AdamW) {
		putRows(o.G)
		put(o.W, 1, 2, nan)
		put(o.M, 1, 5, inf)
		put(o.M, 6, 0, nan)
		put(o.V, 6, 4, inf)
		put(o.V, 10, -1, nan)
	}), poisoned(SameBits, "the scale is NaN", rowLayouts[:1], build, func(o *backend.AdamW) { set(o.Scale, nan) })...)
}
