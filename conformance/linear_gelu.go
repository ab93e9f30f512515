package conformance

import (
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.LinearGELU{}, // its oracle is its Lower
		NonFinite: linearGELUNonFinite,
		Cases: func() []Case {
			return append(linearCases((linearShape).linearGELU), halfCases((linearShape).linearGELU, true)...)
		},
		Random: func(r *rand.Rand) Case { return randomLinear(r).linearGELU() },
	})
}

func (s linearShape) linearGELU() Case {
	return Case{Name: "linear_gelu/" + s.String(), Build: func() (backend.Op, Fill) {
		l := s.tensors()
		return &backend.LinearGELU{Dst: l.Dst, X: l.X, W: l.W, Bias: l.Bias, Sum: like(s.layout, l.Dst)}, nil
	}}
}

// like lays out another tensor of t's dtype and shape.
func like(l Layout, t backend.Tensor) backend.Tensor { return l.Tensor(t.DType, t.Shape[:]...) }
