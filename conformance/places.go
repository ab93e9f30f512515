package conformance

// Where the tokens of a case stand.

import (
	"math"
	"math/rand/v2"

	"caldera/backend"
)

// padding is the sequence of a token that is none.
const padding = -1

// places makes room for those of batch·time tokens.
func (l Layout) places(batch, time int) backend.Tensor { return l.Tensor(backend.I32, 2, batch*time) }

// stand lets each time tokens be a sequence of its own, the b-th one sequence b, from
// position starts(b) on. Positions above the largest i32 wrap.
func stand(at backend.Tensor, time int, starts func(b int) int) {
	fill(at.Slice(-2, 0, 1), func(i int) float64 { return float64(i / time) })
	fill(at.Slice(-2, 1, 2), func(i int) float64 { return float64(int32(starts(i/time) + i%time)) })
}

// standAt is stand with the starts in turn.
func standAt(at backend.Tensor, time int, starts ...float64) {
	stand(at, time, func(b int) int { return int(starts[b%len(starts)]) })
}

// standAnywhere is stand with random starts, from to end, excluded.
func standAnywhere(at backend.Tensor, time int, r *rand.Rand, from, end int) {
	starts := make([]float64, at.Dim(-1)/time)
	for b := range starts {
		starts[b] = float64(from + r.IntN(end-from))
	}
	standAt(at, time, starts...)
}

// paddingAmongOthers are sequences, of which some are none.
var paddingAmongOthers = []float64{0, 1, padding, 0, 3, padding, padding, -2, 1 << 20, math.MinInt32, 7}

// setSequences sets those of tokens to seqs, in turn, if there are some; run is as in Fill.
func setSequences(at backend.Tensor, seqs []float64, run int) {
	if seqs != nil {
		Set(at.Slice(-2, 0, 1), seqs[run:]...)
	}
}

// place is where a token stands.
type place struct{ seq, pos int }

// placesOf loads the place of each token; absent, each is 0 of sequence 0.
func placesOf(m Memory, at backend.Tensor, n int) []place {
	list := make([]place, n)
	if at.Absent() {
		return list
	}
	x := m.Load(at)
	for i := range list {
		list[i] = place{int(x.v[i]), int(x.v[n+i])}
	}
	return list
}

// isPadding, and otherwise whether the position is one of so many.
func (p place) isPadding() bool      { return p.seq == padding }
func (p place) within(size int) bool { return p.seq >= 0 && p.pos >= 0 && p.pos < size }

// missing is what an op computes for a token that stands outside: of padding 0.
func (p place) missing() float64 {
	if p.isPadding() {
		return 0
	}
	return math.NaN()
}

// rowsOfCache tells the row of a cache where a place is, counted through sequences or
// blocks, and whether there is one.
func rowsOfCache(m Memory, cache, table backend.Tensor) (context int, row func(p place) (int, bool)) {
	if table.Absent() {
		context = cache.Dim(-2)
		return context, func(p place) (int, bool) {
			return p.seq*context + p.pos, p.within(context) && p.seq < cache.Dim(-3)
		}
	}
	block, blocks, numbers := cache.Dim(-2), table.Dim(-1), m.Load(table)
	context = blocks * block
	return context, func(p place) (int, bool) {
		if !p.within(context) || p.seq >= table.Dim(-2) {
			return 0, false
		}
		number := int(numbers.v[p.seq*blocks+p.pos/block])
		return number*block + p.pos%block, number >= 0 && number < cache.Dim(-3)
	}
}

// nans are n times NaN.
func nans(n int) Values {
	x := NewValues(n)
	for i := range n {
		x.set(i, math.NaN(), 0)
	}
	return x
}
