package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.LinearAdd{}, // its oracle is its Lower
		nonfinite: linearAddNonFinite,
		cases: func() []Case {
			return append(linearCases((linearShape).linearAdd), halfCases((linearShape).linearAdd, true)...)
		},
		random: func(r *rand.Rand) Case { return randomLinear(r).linearAdd() },
	})
}

func (s linearShape) linearAdd() Case {
	return Case{Name: "linear_add/" + s.String(), Build: func() (backend.Op, Fill) {
		l := s.tensors()
		return &backend.LinearAdd{Dst: l.Dst, X: l.X, W: l.W, Bias: l.Bias,
			Residual: like(s.layout, l.Dst), Sum: like(s.layout, l.Dst)}, nil
	}}
}
