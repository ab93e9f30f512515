package conformance

import (
	"cmp"
	"math"
	"math/big"
	"slices"

	"caldera/backend"
)

// The oracle of Sample: it sorts all tokens, and adds weights up as whole numbers of any
// size. Differences and products of f32 are computed in float64 and then rounded, which
// gives the same.

// drawable is a token that may be drawn.
type drawable struct {
	id        int
	raw, x, d float64 // its logit, that with the penalty, and how far this is from the largest
	weight    *big.Int
}

func sample(m Memory, o *backend.Sample) {
	rows, n := o.X.Dim(-2), o.X.Dim(-1)
	x, slots, dst, next := m.Load(o.X), m.Load(o.Slots), NewValues(rows*backend.SampleWords), m.Load(o.Next)
	settings, marks, recent := m.Load(o.Settings), m.Load(o.Marks), m.Load(o.Recent)
	for r := range rows {
		slot := int(slots.v[r])
		if slot < 0 || slot >= o.Settings.Dim(-2) {
			continue
		}
		words := (n + 31) / 32
		s := slotOf(settings.Row(slot, backend.SampleSettingWords).v, o.Recent.Dim(-1)-2)
		s.barred, s.seen = marks.Row(2*slot, words).v, marks.Row(2*slot+1, words).v
		s.state = recent.Row(slot, o.Recent.Dim(-1)).v
		result := s.draw(x.Row(r, n).v)
		if result.Status == backend.SampleDrawn {
			next.set(r, float64(result.ID), 0)
		}
		for i, w := range result.Words() {
			dst.set(r*backend.SampleWords+i, float64(w), 0)
		}
	}
	m.Store(o.Dst, dst)
	m.Store(o.Next, next)
	m.Store(o.Marks, marks)
	m.Store(o.Recent, recent)
}

// slot is what Sample knows of one.
type slot struct {
	seed                          uint64
	topP                          *big.Int // of 2⁶⁴
	topK, window                  int
	minP, scale, penalty, inverse float64
	greedy                        bool
	barred, seen, state           []float64
}

func slotOf(w []float64, room int) slot {
	word := func(i int) uint64 { return uint64(uint32(int32(w[i]))) }
	number := func(i int) float64 { return float64(math.Float32frombits(uint32(word(i)))) }
	return slot{
		seed: word(0) | word(1)<<32, topP: new(big.Int).SetUint64(word(2) | word(3)<<32), topK: int(word(4)),
		minP: number(5), scale: number(6), greedy: word(7) != 0, penalty: number(8), inverse: number(9), window: min(int(int32(w[10])), room),
	}
}

// bit reports whether bit i of the words is set, and setBit sets or clears it.
func bit(words []float64, i int) bool { return uint32(int32(words[i/32]))>>(i%32)&1 != 0 }

func setBit(words []float64, i int, on bool) {
	w := uint32(int32(words[i/32])) &^ (1 << (i % 32))
	if on {
		w |= 1 << (i % 32)
	}
	words[i/32] = float64(int32(w))
}

// toF32 rounds to f32. What is below the normal numbers is 0, what is above the largest that.
func toF32(v float64) float64 {
	v = float64(float32(max(-math.MaxFloat32, min(v, math.MaxFloat32))))
	if math.Abs(v) < 0x1p-126 {
		return 0
	}
	return v
}

// expWeight is 2⁴⁰ · exp(−d), by the polynomial that package backend gives.
func expWeight(d float64) *big.Int {
	if d >= 32 {
		return new(big.Int)
	}
	const fraction = 1 << 32
	p := new(big.Int).Mul(big.NewInt(int64(d*(1<<27))), big.NewInt(0xb8aa3b29))
	n := uint(new(big.Int).Rsh(p, 58).Uint64())
	f := new(big.Int).Rsh(p, 26).Uint64() % fraction
	q := uint64(0)
	for _, c := range []uint64{0x78809, 0x54a612, 0x274f388, 0xe353290, 0x3d7f7506, 0xb17217df} {
		q = c - q*f/fraction
	}
	w := new(big.Int).SetUint64((1<<31 - q*f/fraction/2) << 9)
	return w.Rsh(w, n)
}

// draw draws a token, and changes the slot if it does.
func (s *slot) draw(x []float64) (result backend.SampleResult) {
	all := []drawable{}
	result.Draws = int32(s.state[0])
	largest, best := math.Inf(-1), math.Inf(-1)
	for id, v := range x {
		if bit(s.barred, id) || math.IsInf(v, -1) {
			continue
		}
		if !finite(v) {
			result.ID, result.Status, result.Logit = int32(id), backend.SampleNotFinite, float32(v)
			return result
		}
		v = toF32(v)
		t := drawable{id: id, raw: v, x: v}
		if s.window != 0 && bit(s.seen, id) {
			if v > 0 {
				t.x = toF32(v * s.inverse)
			} else {
				t.x = toF32(v * s.penalty)
			}
		}
		largest, best = max(largest, t.raw), max(best, t.x)
		all = append(all, t)
	}
	if len(all) == 0 {
		result.Status = backend.SampleNone
		return result
	}
	raw, total := new(big.Int), new(big.Int)
	for i := range all {
		t := &all[i]
		raw.Add(raw, expWeight(toF32(largest-t.raw)))
		t.d = toF32(best - t.x)
		t.weight = expWeight(t.d)
		total.Add(total, t.weight)
	}
	result.Best, result.Total = float32(largest), raw.Uint64()
	slices.SortFunc(all, func(a, b drawable) int { return cmp.Or(cmp.Compare(b.x, a.x), cmp.Compare(a.id, b.id)) })
	kept := all[:1]
	if !s.greedy {
		if kept = s.keep(all, total); kept == nil {
			result.Status = backend.SampleTooMany
			return result
		}
	}
	result.Kept = int32(len(kept))
	t := s.one(kept)
	result.ID, result.Logit = int32(t.id), float32(x[t.id])
	s.remember(t.id)
	result.Draws = int32(s.state[0])
	return result
}

// keep returns the tokens that the filters keep, or nil where the candidates do not tell.
func (s *slot) keep(all []drawable, total *big.Int) []drawable {
	cell := func(d float64) int { return int(min(d*16, backend.SampleCells-1)) }
	n := len(all) // of the candidates
	if n > backend.MaxCandidates {
		for n = backend.MaxCandidates; n > 0 && cell(all[n-1].d) == cell(all[n].d); n-- {
		}
	}
	c, complete := all[:n], n == len(all)
	if s.topK > 0 {
		if !complete && n < s.topK {
			return nil
		}
		c, complete, total = c[:min(n, s.topK)], true, new(big.Int)
		for _, t := range c {
			total.Add(total, t.weight)
		}
	}
	if n == 0 {
		return nil
	}
	if !complete && cell(s.minP) < cell(all[n].d) {
		complete = true
	}
	if s.topP.Sign() > 0 {
		sum, want := new(big.Int), new(big.Int).Mul(s.topP, total)
		for i, t := range c {
			if sum.Add(sum, t.weight); new(big.Int).Lsh(sum, 64).Cmp(want) >= 0 {
				c, complete = c[:i+1], true
				break
			}
		}
	}
	if !complete {
		return nil
	}
	return c[:slices.IndexFunc(append(slices.Clone(c), drawable{d: math.Inf(1)}), func(t drawable) bool { return t.d > s.minP || math.IsInf(t.d, 1) })]
}

// one draws one of the tokens.
func (s *slot) one(kept []drawable) drawable {
	if s.greedy {
		return kept[0]
	}
	kept = slices.Clone(kept)
	slices.SortFunc(kept, func(a, b drawable) int { return cmp.Compare(a.id, b.id) })
	total := new(big.Int)
	for i := range kept {
		kept[i].weight = expWeight(min(float64(float32(kept[i].d*s.scale)), math.MaxFloat32))
		total.Add(total, kept[i].weight)
	}
	w := backend.Philox([2]uint32{uint32(s.seed), uint32(s.seed >> 32)}, [4]uint32{uint32(int32(s.state[0])), 0, 0x73616d70, 0x6c650000})
	u := new(big.Int).SetUint64(uint64(w[0]) | uint64(w[1])<<32)
	u.Rsh(u.Mul(u, total), 64)
	for _, t := range kept {
		if u.Cmp(t.weight) < 0 {
			return t
		}
		u.Sub(u, t.weight)
	}
	panic("conformance: nothing was drawn")
}

// remember counts a draw, and adds the token to the window.
func (s *slot) remember(id int) {
	count := func(i int) int { // returns and increments
		old := uint32(int32(s.state[i]))
		s.state[i] = float64(int32(old + 1))
		return int(old)
	}
	count(0)
	if s.window == 0 {
		return
	}
	n := count(1)
	if s.window > 0 {
		ring := s.state[2 : 2+s.window]
		old := int(ring[n%s.window])
		ring[n%s.window] = float64(id)
		if n >= s.window && old >= 0 && old < 32*len(s.seen) && !slices.Contains(ring, float64(old)) {
			setBit(s.seen, old, false)
		}
	}
	setBit(s.seen, id, true)
}
