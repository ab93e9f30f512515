package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.CrossEntropy{},
		Training:  true,
		Oracle:    Oracle(crossEntropy),
		NonFinite: crossEntropyNonFinite,
		Cases:     crossEntropyCases,
		Random: func(r *rand.Rand) Case {
			s := randomRows(r)
			s.dims = s.dims[len(s.dims)-2:]
			return crossEntropyCase(s)
		},
	})
}

func crossEntropy(m Memory, o *backend.CrossEntropy) {
	rows, n := o.X.Dim(-2), o.X.Dim(-1)
	x, targets := m.Load(o.X), m.Load(o.Targets)
	scale := Exactly(float64(o.Scale))
	if !o.LossScale.Absent() {
		scale = scale.Times(m.Load(o.LossScale).At(0))
	}
	loss := NewValues(rows)
	for r := range rows {
		row, target := x.Row(r, n), int(targets.v[r])
		if target < 0 || target >= n {
			copy(row.v, NewValues(n).v)
			copy(row.e, NewValues(n).v)
			continue
		}
		largest := math.Inf(-1)
		for _, v := range row.v {
			largest = math.Max(largest, v)
		}
		total, totalErr := 0.0, lambda*math.Sqrt(float64(n))*ulp // relative
		for _, v := range row.v {
			total += math.Exp(v - largest)
		}
		for _, v := range row.v {
			if p := math.Exp(v - largest); p > 0 {
				totalErr += p / total * expError(v-largest)
			}
		}
		spread := largest - row.v[target]
		loss.set(r, math.Log(total)+spread, totalErr+4*ulp*(math.Log(total)+math.Abs(largest)+math.Abs(row.v[target]))+tiny)
		p := softmax(row)
		for i := range n {
			q := p.At(i)
			if i == target {
				q = q.Minus(Number{1, 0})
			}
			row.Put(i, q.Times(scale))
		}
	}
	m.Store(o.Loss, loss)
	m.Store(o.X, x)
}

func crossEntropyCase(s rowShape) Case {
	return crossEntropyAt(s, nil, false)
}

// crossEntropyAt is a case with the given targets, or random ones, and with a
// loss scale that differs from run to run, or none.
func crossEntropyAt(s rowShape, targets []float64, scaled bool) Case {
	rows, vocab := s.dims[0], s.dims[1]
	name := "cross_entropy/" + s.String()
	if scaled {
		name += ",scaled"
	}
	return Case{Name: name, Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := &backend.CrossEntropy{Loss: s.layout.Tensor(backend.F32, rows), X: s.tensor(), Targets: s.layout.Ints(rows),
			Scale: float32(1 / float64(3*rows))}
		if scaled {
			o.LossScale = s.layout.Tensor(backend.F32, 1)
		}
		return o, func(r *rand.Rand, run int) {
			if scaled {
				Set(o.LossScale, math.Ldexp(1, 4*run-3))
			}
			Uniform(o.Targets, r, 0, vocab)
			if targets != nil {
				Set(o.Targets, targets[run:]...)
			}
			if s.values != nil {
				Set(o.X, s.values[run:]...)
			} else {
				Normal(o.X, r, s.mean, max(s.scale, 1))
			}
		}
	}}
}

func crossEntropyCases() []Case {
	var cases []Case
	for i, n := range [][2]int{
		{1, 1}, {1, 2}, {2, 3}, {3, 5}, {1, 7}, {7, 8}, {8, 9}, {31, 31}, {5, 33}, {33, 63}, {1, 65}, {9, 127}, {2, 129},
		{65, 255}, {3, 257}, {17, 768}, {127, 64}, {257, 5}, {1, 1023}, {2, 1025}, {1, 4097}, {513, 3}, {3, 50257}, {2, 262147},
	} {
		cases = append(cases, crossEntropyCase(rowShape{dims: n[:], layout: Layouts[i%len(Layouts)]}))
	}
	for _, l := range Layouts {
		cases = append(cases, crossEntropyAt(rowShape{dims: []int{5, 39}, layout: l}, nil, true))
		for _, c := range []struct {
			rowShape
			targets []float64
		}{
			{rowShape{what: "equal", values: []float64{-7.5, -7.5}}, nil},
			{rowShape{what: "wide", scale: 30}, nil},
			{rowShape{what: "mean 1e4", mean: 1e4}, nil},
			{rowShape{what: "very unlikely", values: []float64{100, -100, 0, 3e4, -3e4}}, []float64{1, 4, 33, 66}},
			{rowShape{what: "targets outside"}, []float64{3, -1, 67, 66, -100, math.MinInt32, math.MaxInt32, 0, 5}},
		} {
			c.dims, c.layout = []int{7, 67}, l
			cases = append(cases, crossEntropyAt(c.rowShape, c.targets, false))
		}
	}
	return cases
}
