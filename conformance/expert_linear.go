package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.ExpertLinear{},
		Oracle:    Oracle(expertLinear),
		NonFinite: expertLinearNonFinite,
		Cases:     expertLinearCases,
		Random:    func(r *rand.Rand) Case { return randomExperts(r).build() },
	})
}

// expertLinear multiplies row by row.
func expertLinear(m Memory, o *backend.ExpertLinear) {
	count, out, in := o.W.Dim(-3), o.W.Dim(-2), o.W.Dim(-1)
	x, ids, sums := m.Load(o.Vectors()), m.Load(o.IDs), NewValues(o.Dst.Len())
	bias := NewValues(count * out)
	if !o.Bias.Absent() {
		bias = m.Load(o.Bias)
	}
	rows := map[int]Values{} // of experts that were chosen
	for r := range o.Dst.Rows() {
		id, dst := int(ids.v[r]), sums.Row(r, out)
		if id < 0 || id >= count {
			for i := range out {
				dst.set(i, math.NaN(), 0)
			}
			continue
		}
		if _, ok := rows[id]; !ok {
			rows[id] = m.Load(o.W.Slice(-3, id, id+1))
		}
		for i := range out {
			sum, err := dot(x.Row(r, in), rows[id].Row(i, in), bias.At(id*out+i))
			dst.set(i, sum, err)
		}
	}
	m.Store(o.Dst, sums)
}

// expertShape describes a case of ExpertLinear.
type expertShape struct {
	batch, time, chosen, experts, in, out int
	w                                     backend.DType
	shared                                bool // a token has one x
	blocks                                bool // x is q8_a
	noBias                                bool
	layout                                Layout
	what                                  string
	ids                                   []float64 // instead of random ones
}

func (s expertShape) String() string {
	name := ""
	if s.blocks {
		name = "x=q8_a,"
	}
	name += fmt.Sprintf("w=%v,ids=%dx%dx%d,w=%dx%dx%d", s.w, s.batch, s.time, s.chosen, s.experts, s.out, s.in)
	for _, x := range []struct {
		there bool
		name  string
	}{{s.shared, "shared"}, {s.noBias, "nobias"}, {s.what != "", s.what}} {
		if x.there {
			name += "," + x.name
		}
	}
	return name + s.layout.String()
}

func (s expertShape) tensors() *backend.ExpertLinear {
	l, n, x := s.layout, s.chosen, backend.F32
	if s.shared {
		n = 1
	}
	if s.blocks {
		x = backend.Q8_A
	}
	o := &backend.ExpertLinear{
		Dst: l.Tensor(backend.F32, s.batch, s.time, s.chosen, s.out),
		X:   l.Tensor(x, s.batch, s.time, n, s.in),
		W:   l.Tensor(s.w, s.experts, s.out, s.in),
		IDs: l.Tensor(backend.I32, s.batch, s.time, s.chosen),
	}
	if !s.noBias {
		o.Bias = l.Tensor(backend.F32, s.experts, s.out)
	}
	return o
}

func (s expertShape) build() Case {
	return Case{Name: "expert_linear/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := s.tensors()
		return o, func(r *rand.Rand, run int) {
			Uniform(o.IDs, r, 0, s.experts)
			if s.ids != nil {
				Set(o.IDs, s.ids[run:]...)
			}
		}
	}}
}

func expertLinearCases() []Case {
	var cases []Case
	for i, n := range [][6]int{ // batch, time, chosen, experts, in, out
		{1, 1, 1, 1, 1, 1}, {1, 1, 2, 3, 2, 3}, {1, 1, 4, 8, 33, 31}, {1, 2, 3, 5, 7, 9}, {2, 3, 2, 4, 64, 20}, {1, 9, 4, 6, 65, 17}, {1, 1, 4, 32, 96, 67},
		{1, 70, 2, 3, 36, 33}, {1, 33, 4, 5, 128, 68}, {3, 5, 1, 7, 257, 12}, {1, 130, 3, 4, 40, 130},
	} {
		s := expertShape{batch: n[0], time: n[1], chosen: n[2], experts: n[3], in: n[4], out: n[5], noBias: i%3 == 2, shared: i%2 == 1}
		for j, d := range backend.PlainDTypes() {
			s.w, s.layout = d, Layouts[(i+j)%len(Layouts)]
			cases = append(cases, s.build())
		}
	}
	for i, d := range backend.QuantizedDTypes() {
		for j, l := range Layouts {
			s := expertShape{batch: 1, time: []int{1, 3, 9, 40}[(i+j)%4], chosen: 4, experts: 6, in: d.BlockLen() * (1 + 2*(j%2)), out: []int{33, 68, 17}[j%3], w: d, shared: j%2 == 0, layout: l}
			cases = append(cases, s.build())
			s.blocks, s.noBias = true, j == 1
			cases = append(cases, s.build())
		}
	}
	for _, l := range Layouts {
		for _, d := range []backend.DType{backend.F32, backend.F16, backend.MXFP4} {
			s := expertShape{batch: 2, time: 3, chosen: 2, experts: 5, in: 64, out: 36, w: d, layout: l, what: "ids outside",
				ids: []float64{0, -1, 4, 5, 2, math.MinInt32, math.MaxInt32, 1, -5, 3, 123456, 4, 0}}
			cases = append(cases, s.build())
			s.what, s.shared, s.ids = "all of one expert", true, append(repeated(3, 12), 2)
			cases = append(cases, s.build())
		}
	}
	return append(cases,
		expertShape{batch: 1, time: 3, chosen: 2, experts: 3, in: 4096, out: 12, w: backend.F32, layout: exact, what: "long rows"}.build(),
		expertShape{batch: 1, time: 2, chosen: 4, experts: 9, in: 512, out: 36, w: backend.MXFP4, layout: exact, what: "experts larger than a binding of 64 KiB"}.build(),
		expertShape{batch: 1, time: 4, chosen: 2, experts: 5, in: 256, out: 300, w: backend.F32, layout: exact, what: "an expert larger than a binding of 256 KiB"}.build())
}

func randomExperts(r *rand.Rand) expertShape {
	s := expertShape{batch: 1 + r.IntN(3), time: 1 + r.IntN(30), chosen: 1 + r.IntN(5), experts: 1 + r.IntN(12), in: 1 + r.IntN(200), out: 1 + r.IntN(150),
		w: anyOf(r, backend.DTypes(backend.Weights)), shared: r.IntN(2) == 0, noBias: r.IntN(3) == 0, layout: RandomLayout(r)}
	if s.w.Quantized() {
		s.in = s.w.BlockLen() * (1 + s.in/s.w.BlockLen())
		s.blocks = r.IntN(2) == 0
	}
	return s
}

func expertLinearNonFinite() []Case {
	var cases []Case
	for i, d := range []backend.DType{backend.F32, backend.F16, backend.BF16, backend.Q8_0, backend.MXFP4} {
		cases = append(cases, poisoned(SameBits, fmt.Sprintf("w=%v,not finite", d), rowLayouts, func(l Layout) (*backend.ExpertLinear, Fill) {
			o := expertShape{batch: 1, time: 6, chosen: 2, experts: 4, in: 64, out: 36, w: d, layout: l, shared: i%2 == 1}.tensors()
			return o, func(*rand.Rand, int) { Set(o.IDs, 0, 1, 1, 2, 2, 0, 3, 1, 0, 2, 1, 3) }
		}, func(o *backend.ExpertLinear) {
			Put(o.X, 0, 0, nan)
			Put(o.X, 2, -1, negativeNaN)
			Put(o.Bias, 1, 3, nan)
			Put(o.Bias, 2, 4, inf)
			Put(o.Bias, 2, 5, -inf)
			if d != backend.MXFP4 { // whose scales have no NaN
				Put(o.W, 36+7, 0, nan)
			}
			if !d.Quantized() {
				Put(o.X, 3, 7, inf)
				Put(o.W, 2*36+9, 20, -inf)
			}
		})...)
	}
	return cases
}
