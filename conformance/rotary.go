package conformance

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

func init() {
	Register(Kind{
		Op:        &backend.Rotary{},
		Oracle:    Oracle(rotary),
		NonFinite: rotaryNonFinite,
		Cases:     rotaryCases,
		Random:    func(r *rand.Rand) Case { return randomRotary(r).rotary() },
	})
}

func rotary(m Memory, o *backend.Rotary) {
	batch, time, width := o.X.Dim(-3), o.X.Dim(-2), o.X.Dim(-1)
	size, pairs := width/o.Heads, o.Angles.Dim(-1)/2
	x := m.Load(o.X)
	dst := NewValues(len(x.v))
	for i, p := range placesOf(m, o.At, batch*time) {
		row, out := x.Row(i, width), dst.Row(i, width)
		if !p.within(o.Angles.Dim(-2)) {
			for i := range width {
				out.set(i, p.missing(), 0)
			}
			continue
		}
		angles := m.Load(o.Angles.Slice(-2, p.pos, p.pos+1))
		for h := range o.Heads {
			head, turned := row.Row(h, size), out.Row(h, size)
			for i := 2 * pairs; i < size; i++ {
				turned.set(i, head.v[i], head.e[i])
			}
			for i := range pairs {
				first, second := i, i+pairs
				if o.Pairing == backend.Neighbours {
					first, second = 2*i, 2*i+1
				}
				a, b, cos, sin := head.At(first), head.At(second), angles.At(i), angles.At(pairs+i)
				if o.Inverse {
					sin.Value = -sin.Value
				}
				turned.Put(first, a.Times(cos).Minus(b.Times(sin)))
				turned.Put(second, b.Times(cos).Plus(a.Times(sin)))
			}
		}
	}
	m.Store(o.Dst, dst)
}

type rotaryShape struct {
	batch, time, heads, size, pairs, context int
	pairing                                  backend.Pairing
	inverse                                  bool
	layout                                   Layout
	what                                     string
	at                                       []float64 // instead of random ones
	seqs                                     []float64 // likewise, where they are not 0, 1, …
}

func (s rotaryShape) String() string {
	name := fmt.Sprintf("x=%dx%dx%dx%d,angles=%dx%d,%v", s.batch, s.time, s.heads, s.size, s.context, 2*s.pairs, s.pairing)
	if s.inverse {
		name += ",inverse"
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

func (s rotaryShape) op() *backend.Rotary {
	l := s.layout
	return &backend.Rotary{
		Dst:    l.Tensor(backend.F32, s.batch, s.time, s.heads*s.size),
		X:      l.Tensor(backend.F32, s.batch, s.time, s.heads*s.size),
		Angles: l.Tensor(backend.F32, s.context, 2*s.pairs),
		At:     l.places(s.batch, s.time), Heads: s.heads, Pairing: s.pairing, Inverse: s.inverse,
	}
}

// rotary makes a case. Its table is of any numbers, not of cosines and sines
// that belong together: then none can stand for another.
func (s rotaryShape) rotary() Case {
	return Case{Name: "rotary/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) {
		o := s.op()
		return o, func(r *rand.Rand, run int) {
			standAnywhere(o.At, s.time, r, 0, s.context-s.time+1)
			if s.at != nil {
				standAt(o.At, s.time, s.at[run:]...)
			}
			setSequences(o.At, s.seqs, run)
		}
	}}
}

func rotaryCases() []Case {
	var cases []Case
	for i, n := range [][6]int{ // batch, time, heads, size, pairs, context
		{1, 1, 1, 2, 1, 1}, {1, 3, 2, 4, 1, 5}, {2, 3, 2, 8, 4, 7}, {1, 7, 3, 6, 3, 9}, {3, 5, 4, 9, 4, 8}, {1, 31, 1, 64, 32, 64},
		{2, 17, 3, 80, 16, 40}, {1, 1, 32, 128, 64, 300}, {4, 1, 5, 33, 11, 9}, {1, 65, 2, 20, 8, 127}, {1, 9, 9, 7, 2, 33}, {2, 2, 3, 96, 48, 4},
	} {
		s := rotaryShape{batch: n[0], time: n[1], heads: n[2], size: n[3], pairs: n[4], context: n[5]}
		for j, pairing := range []backend.Pairing{backend.Halves, backend.Neighbours} {
			s.pairing, s.inverse, s.layout = pairing, (i+j)%3 == 0, Layouts[(i+j)%len(Layouts)]
			cases = append(cases, s.rotary())
		}
	}
	for _, l := range Layouts {
		s := rotaryShape{batch: 2, time: 4, heads: 3, size: 12, pairs: 4, context: 6, layout: l}
		for _, s.pairing = range []backend.Pairing{backend.Halves, backend.Neighbours} {
			for _, s.inverse = range []bool{false, true} {
				s.what, s.at = "positions outside", []float64{3, -2, 9}
				cases = append(cases, s.rotary())
				s.what, s.at = "one position after the other", []float64{0, 1, 2}
				cases = append(cases, s.rotary())
			}
		}
		s.what, s.at, s.seqs = "padding", []float64{2, -3, 1}, paddingAmongOthers // some of it outside
		cases = append(cases, s.rotary())
		s.what, s.at, s.seqs = "positions far outside", []float64{math.MaxInt32 - 1, math.MinInt32, math.MaxInt32}, nil // at + time must not wrap into the table
		cases = append(cases, s.rotary())
		s.what, s.at = "a slice of a product", nil
		cases = append(cases, Case{Name: "rotary/" + s.String(), Edge: true, Build: func() (backend.Op, Fill) {
			o := s.op()
			o.X = s.layout.Tensor(backend.F32, s.batch, s.time, 3*s.heads*s.size).Slice(-1, s.heads*s.size, 2*s.heads*s.size)
			return o, func(r *rand.Rand, _ int) { standAnywhere(o.At, s.time, r, 0, s.context-s.time+1) }
		}})
	}
	// More than a binding of 256 KiB, of the rows and of the table.
	for _, pairing := range []backend.Pairing{backend.Halves, backend.Neighbours} {
		cases = append(cases, rotaryShape{batch: 2, time: 37, heads: 16, size: 64, pairs: 32, context: 1600, pairing: pairing, layout: exact,
			what: "larger than a binding of 256 KiB", at: []float64{1010, 1590, 3}}.rotary())
	}
	return cases
}

func randomRotary(r *rand.Rand) rotaryShape {
	s := rotaryShape{batch: 1 + r.IntN(4), time: 1 + r.IntN(20), heads: 1 + r.IntN(5), pairs: 1 + r.IntN(20),
		pairing: backend.Pairing(r.IntN(2)), inverse: r.IntN(2) == 0, layout: RandomLayout(r)}
	s.size = 2*s.pairs + r.IntN(2)*r.IntN(20)
	s.context = s.time + r.IntN(50)
	return s
}
