package conformance_test

import (
	"fmt"
	"math/rand/v2"

	"caldera/backend"
	"caldera/conformance"
)

// Normalize is an op that package backend does not have:
//
//	dst[r,i] = x[r,i] / √(Σ x[r,·]² + epsilon)
type Normalize struct {
	Dst     backend.Tensor // [..., n] f32
	X       backend.Tensor // [..., n] f32
	Epsilon float32
}

func (*Normalize) Name() string { return "normalize" }

func (o *Normalize) Operands(yield func(string, *backend.Tensor, backend.Access)) {
	yield("dst", &o.Dst, backend.Write)
	yield("x", &o.X, backend.Read)
}

func (o *Normalize) Check() error {
	if o.X.DType != backend.F32 || o.Dst.DType != backend.F32 || o.X.Shape != o.Dst.Shape {
		return fmt.Errorf("x is %v and dst is %v, expected f32 of one shape", o.X, o.Dst)
	}
	return nil
}

// normalize is the oracle: it computes with conformance.Number, so that each
// result carries the bound that a backend is held to.
func normalize(m conformance.Memory, o *Normalize) {
	x := m.Load(o.X)
	dst, n := conformance.NewValues(o.X.Len()), o.X.Dim(-1)
	for r := range o.X.Rows() {
		row, out := x.Row(r, n), dst.Row(r, n)
		squares := conformance.Sum(n, func(i int) conformance.Number { return row.At(i).Times(row.At(i)) })
		norm := squares.Plus(conformance.Exactly(float64(o.Epsilon))).Sqrt()
		for i := range n {
			out.Put(i, row.At(i).Over(norm))
		}
	}
	m.Store(o.Dst, dst)
}

// A case builds the op on tensors of a layout. What Fill does not set is normally
// distributed.
func normalizeCase(l conformance.Layout, rows, n int, what string, fill func(o *Normalize, r *rand.Rand, run int)) conformance.Case {
	return conformance.Case{Name: fmt.Sprintf("normalize/x=%dx%d%s%v", rows, n, what, l), Build: func() (backend.Op, conformance.Fill) {
		o := &Normalize{Dst: l.Tensor(backend.F32, rows, n), X: l.Tensor(backend.F32, rows, n), Epsilon: 0.25}
		if fill == nil {
			return o, nil
		}
		return o, func(r *rand.Rand, run int) { fill(o, r, run) }
	}}
}

// An op of another package is held to the same checks as those of package backend,
// once its kind is registered. A test file of that package calls this in init.
func ExampleRegister() {
	conformance.Register(conformance.Kind{
		Op:     &Normalize{},
		Oracle: conformance.Oracle(normalize),
		Cases: func() (cases []conformance.Case) {
			for _, l := range conformance.Layouts {
				for _, n := range []int{1, 3, 31, 64, 257} {
					cases = append(cases, normalizeCase(l, 5, n, "", nil))
				}
				cases = append(cases, normalizeCase(l, 5, 33, ",large", func(o *Normalize, r *rand.Rand, _ int) { conformance.Normal(o.X, r, 0, 1e6) }))
			}
			return cases
		},
		NonFinite: func() []conformance.Case {
			c := normalizeCase(conformance.Layouts[0], 4, 9, ",NaN in a row", func(o *Normalize, r *rand.Rand, run int) {
				conformance.Normal(o.X, r, 0, 1)
				if run == 1 {
					conformance.Put(o.X, 2, 5, nan)
				}
			})
			c.Edge, c.Poison = true, conformance.SameBits
			return []conformance.Case{c}
		},
		Random: func(r *rand.Rand) conformance.Case {
			return normalizeCase(conformance.RandomLayout(r), 1+r.IntN(20), 1+r.IntN(500), "", nil)
		},
	})
}
