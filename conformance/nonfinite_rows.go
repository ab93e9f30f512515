package conformance

// Cases with NaN and infinities of ops on vectors.

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
)

func softmaxNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Softmax, Fill) {
		return &backend.Softmax{Dst: rowsOf(l), X: rowsOf(l)}, nil
	}, func(o *backend.Softmax) { putRows(o.X) })
}

// eachActivation makes cases of each function, those of GELUTanh in each layout.
func eachActivation(of func(f backend.Activation, ls []Layout) []Case) []Case {
	cases := of(backend.GELUTanh, rowLayouts)
	for _, f := range others() {
		cases = append(cases, of(f, rowLayouts[:1])...)
	}
	return cases
}

func activateNonFinite() []Case {
	return eachActivation(func(f backend.Activation, ls []Layout) []Case {
		return poisoned(SameBits, f.String()+",not finite", ls, func(l Layout) (*backend.Activate, Fill) {
			return &backend.Activate{Dst: rowsOf(l), X: rowsOf(l), Func: f}, nil
		}, func(o *backend.Activate) { putRows(o.X) })
	})
}

func activateBackwardNonFinite() []Case {
	return eachActivation(func(f backend.Activation, ls []Layout) []Case {
		build := func(l Layout) (*backend.ActivateBackward, Fill) {
			return &backend.ActivateBackward{DX: rowsOf(l), X: rowsOf(l), DY: rowsOf(l), Func: f}, nil
		}
		return append(poisoned(SameBits, f.String()+",x is not finite", ls, build, func(o *backend.ActivateBackward) { putRows(o.X) }),
			poisoned(SameBits, f.String()+",dy is not finite", ls, build, func(o *backend.ActivateBackward) { putRows(o.DY) })...)
	})
}

func addNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Add, Fill) {
		return &backend.Add{Dst: rowsOf(l), A: rowsOf(l), B: rowsOf(l)}, nil
	}, func(o *backend.Add) {
		putRows(o.A)
		Put(o.B, 5, 3, inf) // −∞ + ∞
		Put(o.B, 6, 0, nan)
		Put(o.B, 9, 0, inf)
	})
}

func argmaxNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Argmax, Fill) {
		return &backend.Argmax{Dst: l.Tensor(backend.I32, poisonedRows, 1), X: rowsOf(l)}, nil
	}, func(o *backend.Argmax) { putRows(o.X) })
}

func copyNonFinite() []Case {
	var cases []Case
	for _, d := range plainPairs() {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("dst=%v,x=%v,not finite", d[0], d[1]), rowLayouts,
			func(l Layout) (*backend.Copy, Fill) {
				return &backend.Copy{Dst: l.Tensor(d[0], poisonedRows, 20), X: l.Tensor(d[1], poisonedRows, 20)}, nil
			}, func(o *backend.Copy) { putRows(o.X) })...)
	}
	return cases
}

func blockCopyNonFinite() []Case {
	return poisoned(SameBits, "dst=q8_a,x=f32,not finite", rowLayouts, func(l Layout) (*backend.Copy, Fill) {
		return &backend.Copy{Dst: l.Tensor(backend.Q8_A, poisonedRows, 64), X: l.Tensor(backend.F32, poisonedRows, 64)}, nil
	}, func(o *backend.Copy) { putRows(o.X) })
}

func storeNonFinite() []Case {
	var cases []Case
	for _, d := range backend.DTypes(backend.Caches) {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("dst=%v,not finite", d), rowLayouts, func(l Layout) (*backend.Store, Fill) {
			o := &backend.Store{Dst: l.Tensor(d, 1, poisonedRows+3, 14), X: l.Tensor(backend.F32, 1, poisonedRows, 14), At: l.places(1, poisonedRows)}
			return o, func(*rand.Rand, int) { standAt(o.At, poisonedRows, 2) }
		}, func(o *backend.Store) { putRows(o.X) })...)
	}
	return cases
}

func dropoutNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.Dropout, Fill) {
		o := &backend.Dropout{Dst: rowsOf(l), X: rowsOf(l), Seed: l.Ints(4), Rate: 0.4, Stream: 3}
		return o, func(r *rand.Rand, _ int) { Uniform(o.Seed, r, 0, 1<<30) }
	}, func(o *backend.Dropout) { putRows(o.X) })
}

func sumSquaresNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.SumSquares, Fill) {
		return &backend.SumSquares{Dst: l.Tensor(backend.F32, poisonedRows, 1), X: rowsOf(l)}, nil
	}, func(o *backend.SumSquares) { putRows(o.X) })
}

func globalNormNonFinite() []Case {
	var cases []Case
	for _, limit := range []float32{1, float32(inf)} {
		for _, v := range []float64{nan, negativeNaN, inf} {
			cases = append(cases, poisoned(SameBits, fmt.Sprintf("max=%v,%v among x", limit, v), []Layout{exact}, func(l Layout) (*backend.GlobalNorm, Fill) {
				o := &backend.GlobalNorm{Dst: l.Tensor(backend.F32, 2), X: l.Tensor(backend.F32, 65), Max: limit}
				return o, func(r *rand.Rand, _ int) { fill(o.X, func(int) float64 { return r.ExpFloat64() }) }
			}, func(o *backend.GlobalNorm) { Put(o.X, 0, 40, v) })...)
		}
	}
	return cases
}

func layerNormNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.LayerNorm, Fill) {
		x := rowsOf(l)
		return &backend.LayerNorm{Dst: rowsOf(l), X: x, Gamma: l.Tensor(backend.F32, x.Dim(-1)), Beta: l.Tensor(backend.F32, x.Dim(-1)), Epsilon: 1e-5}, nil
	}, func(o *backend.LayerNorm) {
		putRows(o.X)
		Put(o.Gamma, 0, 4, nan)
		Put(o.Beta, 0, 9, -inf)
	})
}

func layerNormBackwardNonFinite() []Case {
	build := func(l Layout) (*backend.LayerNormBackward, Fill) {
		x := rowsOf(l)
		vector := func() backend.Tensor { return l.Tensor(backend.F32, x.Dim(-1)) }
		return &backend.LayerNormBackward{DX: rowsOf(l), DGamma: vector(), DBeta: vector(), X: x, DY: rowsOf(l), Gamma: vector(),
			Stats: l.Tensor(backend.F32, poisonedRows, 2), Epsilon: 1e-5}, nil
	}
	return append(append(
		poisoned(SameBits, "x is not finite", rowLayouts, build, func(o *backend.LayerNormBackward) { putRows(o.X) }),
		poisoned(SameBits, "dy is NaN", rowLayouts, build, func(o *backend.LayerNormBackward) {
			Put(o.DY, 0, 0, nan)
			Put(o.DY, 4, -1, negativeNaN)
			Put(o.DY, 7, 13, nan)
		})...),
		poisoned(SameBits, "gamma is NaN", rowLayouts[:1], build, func(o *backend.LayerNormBackward) { Put(o.Gamma, 0, 3, nan) })...)
}

func crossEntropyNonFinite() []Case {
	build := func(l Layout) (*backend.CrossEntropy, Fill) {
		x := rowsOf(l)
		if l == exact { // as nn lays out scores
			x = l.fours(backend.F32, poisonedRows, 63)
		}
		o := &backend.CrossEntropy{Loss: l.Tensor(backend.F32, poisonedRows), X: x, Targets: l.Ints(poisonedRows),
			LossScale: l.Tensor(backend.F32, 1), Scale: 0.25}
		return o, func(r *rand.Rand, _ int) {
			Uniform(o.Targets, r, 0, x.Dim(-1))
			Put(o.Targets, 0, 4, float64(x.Dim(-1)/2)) // where putRows has −∞
			Put(o.Targets, 0, 8, -1)                   // a row of NaN that does not count
		}
	}
	return append(poisoned(SameBits, "not finite", rowLayouts, build, func(o *backend.CrossEntropy) { putRows(o.X) }),
		poisoned(SameBits, "the loss scale is NaN", rowLayouts[:1], build, func(o *backend.CrossEntropy) { Set(o.LossScale, nan) })...)
}

func adamWNonFinite() []Case {
	build := func(l Layout) (*backend.AdamW, Fill) {
		o := &backend.AdamW{W: rowsOf(l), M: rowsOf(l), V: rowsOf(l), G: rowsOf(l), Step: l.Tensor(backend.F32, 3), Scale: l.Tensor(backend.F32, 1),
			Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.1}
		return o, func(r *rand.Rand, _ int) {
			fill(o.V, func(int) float64 { return r.ExpFloat64() })
			Set(o.Step, 1e-3, 0.1, 0.001)
			Set(o.Scale, 0.5)
		}
	}
	return append(poisoned(SameBits, "not finite", rowLayouts, build, func(o *backend.AdamW) {
		putRows(o.G)
		Put(o.W, 1, 2, nan)
		Put(o.M, 1, 5, inf)
		Put(o.M, 6, 0, nan)
		Put(o.V, 6, 4, inf)
		Put(o.V, 10, -1, nan)
	}), poisoned(SameBits, "the scale is NaN", rowLayouts[:1], build, func(o *backend.AdamW) { Set(o.Scale, nan) })...)
}

func rmsNormNonFinite() []Case {
	return poisoned(SameBits, "not finite", rowLayouts, func(l Layout) (*backend.RMSNorm, Fill) {
		x := rowsOf(l)
		return &backend.RMSNorm{Dst: rowsOf(l), X: x, Gamma: l.Tensor(backend.F32, x.Dim(-1)), Epsilon: 1e-5}, nil
	}, func(o *backend.RMSNorm) {
		putRows(o.X)
		Put(o.Gamma, 0, 4, nan)
		Put(o.Gamma, 0, 9, -inf)
	})
}

func rotaryNonFinite() []Case {
	var cases []Case
	for _, pairing := range []backend.Pairing{backend.Halves, backend.Neighbours} {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("%v,not finite", pairing), rowLayouts, func(l Layout) (*backend.Rotary, Fill) {
			x := rowsOf(l)
			o := &backend.Rotary{Dst: rowsOf(l), X: x, Angles: l.Tensor(backend.F32, poisonedRows+2, 24), At: l.places(1, poisonedRows), Heads: 1, Pairing: pairing}
			if l == exact {
				o.Heads = 2
			}
			return o, func(*rand.Rand, int) { standAt(o.At, poisonedRows, 1) }
		}, func(o *backend.Rotary) {
			putRows(o.X)
			Put(o.Angles, 2, 3, nan)    // a cosine of row 1
			Put(o.Angles, 7, -1, inf)   // a sine of row 6
			Put(o.Angles, 11, 12, -inf) // of row 10
			putRow(o.Angles, 0, nan)    // of no row
			putRow(o.Angles, 12, inf)
		})...)
	}
	return cases
}

// poisonedGates are for GatedActivation and its gradient: functions whose
// pipelines others need too, with and without a limit.
func poisonedGates(of func(what string, ls []Layout, s gateShape)) {
	of("silu,not finite", rowLayouts, gateShape{f: backend.SiLU})
	of("silu,clamped,not finite", rowLayouts, gateShape{f: backend.SiLU, limit: 2, shift: 1})
	for f := backend.NoActivation; f.Valid(); f++ {
		if f != backend.SiLU {
			of(fmt.Sprintf("%v,not finite", f), rowLayouts[:1], gateShape{f: f})
		}
	}
}

// putGates makes rows of gate, and single elements of up, not finite.
func putGates(gate, up backend.Tensor) {
	putRows(gate)
	Put(up, 1, 2, nan)
	Put(up, 6, 0, inf)
	Put(up, 10, -1, -inf)
	Put(up, 5, 3, inf)
	Put(up, 4, 7, -inf)
}

func gatedActivationNonFinite() []Case {
	var cases []Case
	poisonedGates(func(what string, ls []Layout, s gateShape) {
		cases = append(cases, poisoned(SameBits, what, ls, func(l Layout) (*backend.GatedActivation, Fill) {
			return &backend.GatedActivation{Dst: rowsOf(l), Gate: rowsOf(l), Up: rowsOf(l), Func: s.f, Limit: s.limit, Shift: s.shift}, nil
		}, func(o *backend.GatedActivation) { putGates(o.Gate, o.Up) })...)
	})
	return cases
}

func gatedActivationBackwardNonFinite() []Case {
	var cases []Case
	poisonedGates(func(what string, ls []Layout, s gateShape) {
		cases = append(cases, poisoned(SameBits, what, ls, func(l Layout) (*backend.GatedActivationBackward, Fill) {
			return &backend.GatedActivationBackward{
				DGate: rowsOf(l), DUp: rowsOf(l), Gate: rowsOf(l), Up: rowsOf(l), DY: rowsOf(l), Func: s.f, Limit: s.limit, Shift: s.shift,
			}, nil
		}, func(o *backend.GatedActivationBackward) {
			putGates(o.Gate, o.Up)
			Put(o.DY, 1, 5, nan)
			Put(o.DY, 6, 3, inf)
			Put(o.DY, 10, 0, -inf)
		})...)
	})
	return cases
}

func rmsNormBackwardNonFinite() []Case {
	build := func(l Layout) (*backend.RMSNormBackward, Fill) {
		x := rowsOf(l)
		vector := func() backend.Tensor { return l.Tensor(backend.F32, x.Dim(-1)) }
		return &backend.RMSNormBackward{DX: rowsOf(l), DGamma: vector(), X: x, DY: rowsOf(l), Gamma: vector(),
			Stats: l.Tensor(backend.F32, poisonedRows, 1), Epsilon: 1e-5}, nil
	}
	return append(append(
		poisoned(SameBits, "x is not finite", rowLayouts, build, func(o *backend.RMSNormBackward) { putRows(o.X) }),
		poisoned(SameBits, "dy is NaN", rowLayouts, build, func(o *backend.RMSNormBackward) {
			Put(o.DY, 0, 0, nan)
			Put(o.DY, 4, -1, negativeNaN)
			Put(o.DY, 7, 13, nan)
		})...),
		poisoned(SameBits, "gamma is NaN", rowLayouts[:1], build, func(o *backend.RMSNormBackward) { Put(o.Gamma, 0, 3, nan) })...)
}
