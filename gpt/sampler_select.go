package gpt

// The parts of the sampler that take time: exponentials, and finding the likeliest k
// tokens, or the likeliest ones with probability p together, without sorting a
// large vocabulary.

import (
	"math"
	"slices"

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
// Some of the logits tell first how large one must be, so that few are looked at; that there are k as large is checked.
func (s *Sampler) topK(c []candidate, logits []float32, k int) []candidate {
	least := float32(math.Inf(-1))
	if n := k/sampleEvery + k/(2*sampleEvery) + 16; n < len(logits)/sampleEvery {
		s.sample = s.sample[:0]
		for i := 0; i < len(logits); i += sampleEvery {
			s.sample = append(s.sample, logits[i])
		}
		all := s.finder.Above(s.sample, float32(math.Inf(-1)))
		least = leastOf(s.kth(s.sample, all, n).key)
	}
	ids := s.finder.Above(logits, least)
	if len(ids) < k {
		ids = s.finder.Above(logits, float32(math.Inf(-1)))
	}
	last := s.kth(logits, ids, k)
	for _, x := range s.scratch {
		if x.key > last.key || x.key == last.key && x.id <= last.id {
			c = append(c, x)
		}
	}
	return c
}

// sampleEvery is how many logits there are for one that topK looks at first.
const sampleEvery = 32

// kth is the k-th of those tokens, by before; s.scratch has all of them, in their order. They are counted by
// how far they are below the largest, in cells of one width, and only those of the cell in which it is are compared.
func (s *Sampler) kth(logits []float32, ids []int32, k int) candidate {
	all := slices.Grow(s.scratch[:0], len(ids))[:len(ids)]
	s.scratch = all
	most, least := uint32(0), uint32(math.MaxUint32) // the latter less the key of −∞ and 1, so that −∞ itself counts as large
	for i, id := range ids {
		key := keyOf(logits[id])
		all[i] = candidate{id: id, key: key}
		most, least = max(most, key), min(least, key-backend.SampleKeyNone-1)
	}
	if most == backend.SampleKeyNone {
		return all[k-1] // all are −∞
	}
	high, low := backend.SampleValue(most), backend.SampleValue(least+backend.SampleKeyNone+1)
	perCell := (selectCells - 1) / (high - low)
	if !(perCell > 0 && perCell <= math.MaxFloat32) {
		perCell = 1 // they are too near to each other, or too far
	}
	cellOf := func(x candidate) int {
		return int(min((high-backend.SampleValue(x.key))*perCell, selectCells-1))
	}
	clear(s.cells[:])
	for _, x := range all {
		s.cells[cellOf(x)]++
	}
	cell := 0
	for ; k > int(s.cells[cell]); cell++ {
		k -= int(s.cells[cell])
	}
	s.rest = s.rest[:0]
	for _, x := range all {
		if cellOf(x) == cell {
			s.rest = append(s.rest, x)
		}
	}
	for h := s.rest; ; { // Hoare's FIND, as in topP
		switch n := partition(h); {
		case n >= k:
			h = h[:n]
		case n == k-1:
			return h[n]
		default:
			h, k = h[n+1:], k-n-1
		}
	}
}

// selectCells is the number of cells of kth.
const selectCells = 1024

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
