package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.RMSNormBackward{},
		training:  true,
		oracle:    oracle(rmsNormBackward),
		nonfinite: rmsNormBackwardNonFinite,
		cases: func() []Case {
			cases := rowShapes(rmsNormBackwardCase)
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "constant rows", values: []float64{3}},
				{dims: []int{9, 129}, what: "mean 1000, deviation 1", mean: 1000},
				{dims: []int{3, 33}, what: "values around 1e-3", values: []float64{1e-3, -2e-3, 3e-3, 0.5e-3, -1e-3, 1.5e-3, 2e-3}},
				{dims: []int{2, 1}, what: "rows of one", values: []float64{5, -3}},
				{dims: []int{131, 516}, what: "larger than a binding of 256 KiB"},
				{dims: []int{2, 5, 3, 32}, what: withoutGamma},
			} {
				for _, s.layout = range layouts {
					cases = append(cases, rmsNormBackwardCase(s))
				}
			}
			return cases
		},
		random: func(r *rand.Rand) Case { return rmsNormBackwardCase(randomRows(r)) },
	})
}

const withoutGamma = "without gamma's gradient"

func rmsNormBackwardCase(s rowShape) Case {
	return s.build("rmsnorm_backward", func() (backend.Op, backend.Tensor) {
		last := len(s.dims) - 1
		vector := func() backend.Tensor { return s.layout.tensor(backend.F32, s.dims[last]) }
		x := s.tensor()
		o := &backend.RMSNormBackward{
			DX: s.tensor(), DGamma: vector(), X: x, DY: s.tensor(), Gamma: vector(),
			Stats: s.layout.tensor(backend.F32, append(append([]int{}, s.dims[:last]...), 1)...), Epsilon: 1e-5,
		}
		if s.what == withoutGamma {
			o.DGamma = backend.Tensor{}
		}
		return o, x
	})
}

func rmsNormBackward(m memory, o *backend.RMSNormBackward) {
	n, rows := o.X.Dim(-1), o.X.Rows()
	x, dy, gamma := m.load(o.X), m.load(o.DY), m.load(o.Gamma)
	dx, normed := newValues(len(x.v)), newValues(len(x.v))
	for r := range rows {
		row, up, norm, out := x.row(r, n), dy.row(r, n), normed.row(r, n), dx.row(r, n)
		scale := rootMeanSquare(row, float64(o.Epsilon))
		for i := range n {
			norm.put(i, row.at(i).times(scale))
		}
		g := func(i int) number { return up.at(i).times(gamma.at(i)) }
		mean := sum(n, func(i int) number { return g(i).times(norm.at(i)) }).over(exactly(float64(n)))
		for i := range n {
			out.put(i, g(i).minus(norm.at(i).times(mean)).times(scale))
		}
	}
	m.store(o.DX, dx)
	if o.DGamma.Absent() {
		return
	}
	dgamma := m.load(o.DGamma)
	for i := range n {
		dgamma.put(i, dgamma.at(i).plus(sum(rows, func(r int) number { return dy.at(r*n + i).times(normed.at(r*n + i)) })))
	}
	m.store(o.DGamma, dgamma)
}
