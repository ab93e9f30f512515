package gpt

// The parts of the sampler that take time: exponentials, and finding the likeliest k
// tokens, or the likeliest ones with probability p together, without sorting a
// large vocabulary.

import (
	"math"

	"caldera/backend"
)

func keyOf(logit float32) uint32 { return backend.SampleKey(math.Float32bits(logit)) }

// leastOf is the least number with a key: all that lies below the normal numbers has that of 0.
func leastOf(key uint32) float32 {
	if v := backend.SampleValue(key); v != 0 {
		return v
	}
	return -math.Float32frombits(0x007fffff)
}

// before is the order of the filters: larger logits first and, of equal logits, the
// lower id first. Two different candidates are never equal in it.
func before(a, b candidate) bool {
	return a.key > b.key || a.key == b.key && a.id < b.id
}

// topK appends the first k tokens of logits, by before, to c, in the order of ids. k
// is less than len(logits).
//
// The first k tokens so far are in a heap whose root is the last of them. Few tokens
// come before the root, so nearly all cost one comparison.
func (s *Sampler) topK(c []candidate, logits []float32, k int) []candidate {
	h := s.scratch[:0]
	for id, logit := range logits[:k] {
		h = append(h, candidate{id: int32(id), key: keyOf(logit)})
	}
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, i)
	}
	root := backend.SampleValue(h[0].key)
	for id := k; id < len(logits); id++ {
		if logits[id] <= root { // ids ascend, so an equal one comes behind
			continue
		}
		if key := keyOf(logits[id]); key > h[0].key {
			h[0] = candidate{id: int32(id), key: key}
			sink(h, 0)
			root = backend.SampleValue(h[0].key)
		}
	}
	s.scratch = h
	last := h[0]
	least := leastOf(last.key)
	for id, logit := range logits {
		if logit < least {
			continue
		}
		if x := (candidate{id: int32(id), key: keyOf(logit)}); x == last || before(x, last) {
			c = append(c, x)
		}
	}
	return c
}

// sink moves h[i] down the heap until every parent comes after both its children.
func sink(h []candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && before(h[child], h[child+1]) {
			child++
		}
		if !before(h[i], h[child]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}

// topP returns the fewest candidates, the first ones by before, whose weights add up
// to mass or more: at least one, in the order of ids. If the weights of all add up
// to less, it returns all.
//
// It is a quickselect, Hoare's FIND (https://doi.org/10.1145/366622.366647), by
// weight instead of rank: a pivot divides the candidates, and the search goes on in
// the part where the sum passes mass. That takes linear time on average.
func (s *Sampler) topP(c []candidate, mass uint64) []candidate {
	s.scratch = append(s.scratch[:0], c...)
	h := s.scratch
	var last candidate // the last one to keep
	for len(h) > 0 {
		n := partition(h)
		sum := uint64(0)
		for _, x := range h[:n] {
			sum += x.weight
		}
		switch {
		case sum >= mass && n > 0: // enough before the pivot
			h = h[:n]
		case sum+h[n].weight >= mass: // enough with the pivot
			last, h = h[n], nil
		default: // the pivot and what is before it stay
			mass -= sum + h[n].weight
			last, h = h[n], h[n+1:]
		}
	}
	n := 0
	for _, x := range c {
		if x.id == last.id || before(x, last) {
			c[n] = x
			n++
		}
	}
	return c[:n]
}

// partition picks a pivot and moves the candidates before it to the front of h,
// which is not empty. It returns the new index of the pivot.
func partition(h []candidate) int {
	// The median of three is a good pivot, also if the candidates are in order.
	a, b, end := 0, len(h)/2, len(h)-1
	if before(h[b], h[a]) {
		a, b = b, a
	}
	if before(h[end], h[b]) {
		b = end
		if before(h[end], h[a]) {
			b = a
		}
	}
	h[b], h[end] = h[end], h[b]
	pivot, n := h[end], 0
	for i := range h[:end] {
		if before(h[i], pivot) {
			h[n], h[i] = h[i], h[n]
			n++
		}
	}
	h[n], h[end] = h[end], h[n]
	return n
}

// expSum returns the sum of exp(v − best) over x, of which best is the largest.
func expSum(x []float32, best float32) float64 {
	// Four sums, so that an addition need not wait for the one before it.
	var sum [4]float64
	for ; len(x) >= 4; x = x[4:] {
		sum[0] += expNonPositive(float64(x[0]) - float64(best))
		sum[1] += expNonPositive(float64(x[1]) - float64(best))
		sum[2] += expNonPositive(float64(x[2]) - float64(best))
		sum[3] += expNonPositive(float64(x[3]) - float64(best))
	}
	for _, v := range x {
		sum[0] += expNonPositive(float64(v) - float64(best))
	}
	return sum[0] + sum[1] + sum[2] + sum[3]
}

// exp2 holds 2^(i/512).
var exp2 = func() (t [512]float64) {
	for i := range t {
		t[i] = math.Exp2(float64(i) / 512)
	}
	return t
}()

// expNonPositive is math.Exp for x ≤ 0, within 10⁻¹³ of its value. It is a few times
// as fast, because it is small enough to be inlined. Below −700 it stays at
// exp(−700), which is negligible beside the weight of the best token, 1.
//
// With n = round(512·x/ln 2) and r = x − n·ln 2/512, exp(x) = 2^(n/512)·exp(r): the
// exponent and a table give the first factor, and a polynomial the second, whose
// error is r⁴/24 < 10⁻¹⁴ because |r| ≤ ln 2/1024. It is Tang's method,
// https://doi.org/10.1145/63522.214389, without its correction of r, which rounding
// changes by up to |x|·10⁻¹⁶.
func expNonPositive(x float64) float64 {
	if x < -700 {
		x = -700
	}
	// The sum has n in its lowest bits: nine of them are the table's index, and
	// those above, moved to the top, count up the exponent.
	const round = 1.5 * (1 << 52)
	sum := x*(512/math.Ln2) + round
	n := math.Float64bits(sum)
	r := x - (sum-round)*(math.Ln2/512)
	return (1 + r*(1+r*(1.0/2+r*(1.0/6)))) * math.Float64frombits(math.Float64bits(exp2[n%512])+n>>9<<52)
}
