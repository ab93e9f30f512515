package cpu

import (
	"math"

	"caldera/backend/cpu/internal/gemm"
	"caldera/backend/cpu/internal/vec"
)

// Attention takes keys in tiles, with a running softmax (Milakov and Gimelshein 2018, arXiv:1805.02867): of each
// tile there are the largest score, the sum of exponentials, and the sum of values that these weigh. So no more than
// a tile of scores is kept, however long the context is. Tiles are computed apart and joined in their order, so that
// a result has the same bits by one thread as by several.

// keyTile is how many keys a tile has. Scores of a block of queries then fit an L2 cache beside keys and values. It is
// a variable for tests, which have small tiles.
var keyTile = 512

// softmaxState is the softmax of some scores: their largest, and the sum of exp(score − largest).
type softmaxState struct {
	largest float32
	total   float64
}

// noKeys is that of no scores.
var noKeys = softmaxState{largest: negInf}

// join adds a tile to the softmax of what came before, and to its sum.
func (s *softmaxState) join(tile softmaxState, sum, part []float32) {
	if s.total == 0 && s.largest == negInf {
		// Nothing but what has weights of 0, which still makes infinite values NaN.
		*s = tile
		vec.Add(sum, sum, part)
		return
	}
	largest := max(s.largest, tile.largest)
	before, now := weight(s.largest, largest), weight(tile.largest, largest)
	*s = softmaxState{largest, s.total*float64(before) + tile.total*float64(now)}
	if before != 1 {
		vec.Scale(sum, before)
	}
	if now != 1 {
		vec.Scale(part, now)
	}
	vec.Add(sum, sum, part)
}

// weight is exp(score − largest), where a score is of −∞, too.
func weight(score, largest float32) float32 {
	if score == largest && score-score == 0 {
		return 1
	}
	return float32(math.Exp(float64(score - largest)))
}

// scale is what sums, and exponentials less the largest, are multiplied with at last, where a sink (−∞: none) takes part.
func (s softmaxState) scale(sink float32) float32 {
	if sink == negInf {
		return float32(1 / s.total)
	}
	largest := max(s.largest, sink)
	of := math.Exp(float64(s.largest - largest))
	return float32(of / (s.total*of + math.Exp(float64(sink-largest))))
}

// softmaxes is a workspace of n states.
func (w *worker) softmaxes(slot, n int) []softmaxState {
	if cap(w.states[slot]) < n {
		w.states[slot] = make([]softmaxState, n)
	}
	return w.states[slot][:n]
}

// scaled is the queries [t0, t1) times the scale, row by row, in slot 0.
func (h *heads) scaled(w *worker, t0, t1 int) gemm.Matrix {
	rows := (t1 - t0) * h.n
	q := gemm.Matrix{Data: w.floats(0, rows*h.size), Stride: h.size}
	for r := range rows {
		to := q.Data[r*h.size:][:h.size]
		copy(to, h.part(&h.o.Q, t0+r/h.n, r%h.n))
		vec.Scale(to, h.o.Scale)
	}
	return q
}

// overlaps reports whether query t sees keys of a tile.
func (h *heads) overlaps(t, tile int) bool {
	from, to := h.sees(t)
	return from < (tile+1)*keyTile && to > tile*keyTile
}

// tile computes, for the queries [t0, t1), the sums of the values at the positions [k0, k1), which are of one tile, and
// their softmax. Both are in workspaces: slots 2 and 3, and 1.
func (h *heads) tile(w *worker, q gemm.Matrix, t0, t1, k0, k1 int) (gemm.Matrix, []softmaxState) {
	rows, keys := (t1-t0)*h.n, k1-k0
	part, of := gemm.Matrix{Data: w.floats(2, rows*h.size), Stride: h.size}, w.softmaxes(1, rows)
	clear(part.Data)
	// Exponentials take whole vectors, which may end behind the last key.
	scores := gemm.Matrix{Stride: keyTile + vec.Lanes}
	scores.Data = w.floats(3, rows*scores.Stride)
	for r := range rows {
		clear(scores.Data[r*scores.Stride:][:keys])
	}
	for key := 0; key < keys; {
		weights, n, ok := h.cache(&h.o.K, k0+key)
		n = min(n, keys-key)
		if ok {
			w.gemm.Dots(gemm.Matrix{Data: scores.Data[key:], Stride: scores.Stride}, q, weights, rows, n, h.size)
		} else {
			for r := range rows {
				fill(scores.Data[r*scores.Stride+key:][:n], nan)
			}
		}
		key += n
	}
	for r := range rows {
		of[r] = h.exponentials(scores.Data[r*scores.Stride:][:scores.Stride], t0+r/h.n, r%h.n, k0, k1)
	}
	for key := 0; key < keys; {
		weights, n, ok := h.cache(&h.o.V, k0+key)
		n = min(n, keys-key)
		if !ok {
			fill(part.Data, nan)
			break
		}
		w.gemm.Outer(part, gemm.Matrix{Data: scores.Data[key:], Stride: scores.Stride}, weights, rows, h.size, n)
		key += n
	}
	return part, of
}

// exponentials turns the scores of query t into exp(score − largest) where it sees the keys, which are those of the
// positions [k0, k1), and into 0 elsewhere. Where probabilities are wanted it leaves scores there, for finish.
func (h *heads) exponentials(scores []float32, t, i, k0, k1 int) softmaxState {
	from, to := h.sees(t)
	from, to = max(from, k0)-k0, min(to, k1)-k0
	if from >= to {
		clear(scores[:k1-k0])
		return noKeys
	}
	if h.o.SoftCap > 0 {
		vec.SoftCap(scores[from:to], h.o.SoftCap)
	}
	if p := h.probs(t, i); p != nil {
		copy(p[k0+from:], scores[from:to])
	}
	end := wholeVectors(to-from, len(scores)-from) + from
	fill(scores[to:end], negInf)
	s := softmaxState{largest: vec.Max(scores[from:end])}
	shift := s.largest
	if shift == negInf {
		shift = 0 // exp(−∞) is 0, and what is no number stays so
	}
	s.total = vec.Exp(scores[from:end], scores[from:end], shift)
	clear(scores[:from])
	clear(scores[to:max(to, k1-k0)])
	return s
}

// finish writes the result of query t from its sum, which it changes, and its probabilities.
func (h *heads) finish(s softmaxState, sum []float32, t, i int) {
	scale := s.scale(sinkOf(&h.o.Sinks, h.first+i))
	vec.Scale(sum, scale)
	copy(h.part(&h.o.Dst, t, i), sum)
	p := h.probs(t, i)
	if p == nil {
		return
	}
	from, to := h.sees(t)
	clear(p[:from])
	clear(p[to:])
	if s.largest == negInf {
		s.largest = 0
	}
	vec.Exp(p[from:to], p[from:to], s.largest)
	vec.Scale(p[from:to], scale)
}
