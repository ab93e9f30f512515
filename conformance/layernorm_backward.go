package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.LayerNormBackward{},
		Training:  true,
		Oracle:    Oracle(layerNormBackward),
		NonFinite: layerNormBackwardNonFinite,
		Cases: func() []Case {
			cases := rowShapes(layerNormBackwardCase)
			for _, s := range []rowShape{
				{dims: []int{3, 65}, what: "constant rows", values: []float64{3}},
				{dims: []int{9, 129}, what: "mean 1000, deviation 1", mean: 1000},
				{dims: []int{3, 33}, what: "values around 1e-3", values: []float64{1e-3, -2e-3, 3e-3, 0.5e-3, -1e-3, 1.5e-3, 2e-3}},
				{dims: []int{2, 1}, what: "rows of one", values: []float64{5, -3}},
				{dims: []int{131, 516}, what: "larger than a binding of 256 KiB"},
				{dims: []int{2, 5, 3, 32}, what: withoutGamma},
			} {
				for _, s.layout = range Layouts {
					cases = append(cases, layerNormBackwardCase(s))
				}
			}
			return cases
		},
		Random: func(r *rand.Rand) Case { return layerNormBackwardCase(randomRows(r)) },
	})
}

func layerNormBackwardCase(s rowShape) Case {
	return s.build("layernorm_backward", func() (backend.Op, backend.Tensor) {
		last := len(s.dims) - 1
		vector := func() backend.Tensor { return s.layout.Tensor(backend.F32, s.dims[last]) }
		x := s.tensor()
		o := &backend.LayerNormBackward{
			DX: s.tensor(), DGamma: vector(), DBeta: vector(), X: x, DY: s.tensor(), Gamma: vector(),
			Stats: s.layout.Tensor(backend.F32, append(append([]int{}, s.dims[:last]...), 2)...), Epsilon: 1e-5,
		}
		if s.what == withoutGamma {
			o.DGamma, o.DBeta = backend.Tensor{}, backend.Tensor{}
		}
		return o, x
	})
}

func layerNormBackward(m Memory, o *backend.LayerNormBackward) {
	n, rows := o.X.Dim(-1), o.X.Rows()
	x, dy, gamma := m.Load(o.X), m.Load(o.DY), m.Load(o.Gamma)
	dx, normed := NewValues(len(x.v)), NewValues(len(x.v))
	for r := range rows {
		row, up, norm, out := x.Row(r, n), dy.Row(r, n), normed.Row(r, n), dx.Row(r, n)
		mean, scale := moments(row, float64(o.Epsilon))
		for i := range n {
			norm.Put(i, row.At(i).Minus(mean).Times(scale))
		}
		g := func(i int) Number { return up.At(i).Times(gamma.At(i)) }
		count := Exactly(float64(n))
		meanG := Sum(n, g).Over(count)
		meanGN := Sum(n, func(i int) Number { return g(i).Times(norm.At(i)) }).Over(count)
		for i := range n {
			out.Put(i, g(i).Minus(meanG).Minus(norm.At(i).Times(meanGN)).Times(scale))
		}
	}
	m.Store(o.DX, dx)
	if o.DGamma.Absent() {
		return
	}
	dgamma, dbeta := m.Load(o.DGamma), m.Load(o.DBeta)
	for i := range n {
		dgamma.Put(i, dgamma.At(i).Plus(Sum(rows, func(r int) Number { return dy.At(r*n + i).Times(normed.At(r*n + i)) })))
		dbeta.Put(i, dbeta.At(i).Plus(Sum(rows, func(r int) Number { return dy.At(r*n + i) })))
	}
	m.Store(o.DGamma, dgamma)
	m.Store(o.DBeta, dbeta)
}
