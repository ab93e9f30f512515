package conformance

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	register(kind{
		op:        &backend.CrossEntropy{},
		training:  true,
		oracle:    oracle(crossEntropy),
		nonfinite: crossEntropyNonFinite,
		cases:     crossEntropyCases,
		random: func(r *rand.Rand) Case {
			s := randomRows(r)
			s.dims = s.dims[len(s.dims)-2:]
			return crossEntropyCase(s)
		},
	})
}

func crossEntropy(m memory, o *backend.CrossEntropy) {
	rows, n := o.X.Dim(-2), o.X.Dim(-1)
	x, targets := m.load(o.X), m.load(o.Targets)
	scale := exactly(float64(o.Scale))
	if !o.LossScale.Absent() {
		scale = scale.times(m.load(o.LossScale).at(0))
	}
	loss := newValues(rows)
	for r := range rows {
		row, target := x.row(r, n), int(targets.v[r])
		if target < 0 || target >= n {
			copy(row.v, newValues(n).v)
			copy(row.e, newValues(n).v)
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
			q := p.at(i)
			if i == target {
				q = q.minus(number{1, 0})
			}
			row.put(i, q.times(scale))
		}
	}
	m.store(o.Loss, loss)
	m.store(o.X, x)
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
		o := &backend.CrossEntropy{Loss: s.layout.tensor(backend.F32, rows), X: s.tensor(), Targets: s.layout.ints(rows),
			Scale: float32(1 / float64(3*rows))}
		if scaled {
			o.LossScale = s.layout.tensor(backend.F32, 1)
		}
		return o, func(r *rand.Rand, run int) {
			if scaled {
				set(o.LossScale, math.Ldexp(1, 4*run-3))
			}
			uniform(o.Targets, r, 0, vocab)
			if targets != nil {
				set(o.Targets, targets[run:]...)
			}
			if s.values != nil {
				set(o.X, s.values[run:]...)
			} else {
				normal(o.X, r, s.mean, max(s.scale, 1))
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
		cases = append(cases, crossEntropyCase(rowShape{dims: n[:], layout: layouts[i%len(layouts)]}))
	}
	for _, l := range layouts {
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
