package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.LinearAdd{}, // its oracle is its Lower
		NonFinite: linearAddNonFinite,
		Cases: func() []Case {
			return append(linearCases((linearShape).linearAdd), halfCases((linearShape).linearAdd, true)...)
		},
		Random: func(r *rand.Rand) Case { return randomLinear(r).linearAdd() },
	})
}

func (s linearShape) linearAdd() Case {
	return Case{Name: "linear_add/" + s.String(), Build: func() (backend.Op, Fill) {
		l := s.tensors()
		return &backend.LinearAdd{Dst: l.Dst, X: l.X, W: l.W, Bias: l.Bias,
			Residual: like(s.layout, l.Dst), Sum: like(s.layout, l.Dst)}, nil
	}}
}
