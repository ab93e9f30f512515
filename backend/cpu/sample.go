package cpu

import (
	"cmp"
	"math"
	"slices"

	"caldera/backend"
)

func init() {
	register(func(b *Backend, op *backend.Sample) {
		b.parallel(op, op.X.Rows(), 6*float64(op.X.Shape[3]), sampleRows)
	})
}

func sampleRows(w *worker, op backend.Op, from, to int) {
	if w.sampler == nil {
		w.sampler = &sampler{}
	}
	for r := from; r < to; r++ {
		w.sampler.draw(op.(*backend.Sample), r)
	}
}

// sampler draws for one row.
type sampler struct {
	backend.SampleSettings
	x              []float32
	barred, recent []int32 // bits
	best           uint32  // the largest key, with the penalty
	bestID         int

	cells      [backend.SampleCells]int32
	candidates [backend.MaxCandidates]drawable
}

type drawable struct {
	id, key uint32
	weight  uint64
}

func (s *sampler) draw(o *backend.Sample, r int) {
	dst := row[int32](&o.Dst, r)
	clear(dst)
	slot := int(at[int32](&o.Slots, 0, r))
	if slot < 0 || slot >= o.Settings.Shape[2] {
		return
	}
	s.SampleSettings = backend.ReadSampleSettings(row[int32](&o.Settings, slot))
	s.x, s.barred, s.recent = row[float32](&o.X, r), row[int32](&o.Marks, 2*slot), row[int32](&o.Marks, 2*slot+1)
	state := row[int32](&o.Recent, slot)
	s.Window = min(s.Window, int32(len(state)-2))

	result := s.choose(uint32(state[0]))
	if result.Draws = state[0]; result.Status == backend.SampleDrawn {
		state[0]++
		result.Draws = state[0]
		s.remember(state[1:], result.ID)
		row[int32](&o.Next, 0)[r] = result.ID
	}
	words := result.Words()
	copy(dst, words[:])
}

// remember adds a token to the window: state counts those so far, and has the latest of
// them.
func (s *sampler) remember(state []int32, id int32) {
	if s.Window == 0 {
		return
	}
	if s.Window > 0 {
		ring := state[1 : 1+s.Window]
		at := uint32(state[0]) % uint32(s.Window)
		old := ring[at]
		ring[at] = id
		if uint32(state[0]) >= uint32(s.Window) && old >= 0 && int(old) < len(s.x) && !slices.Contains(ring, old) {
			s.recent[old/32] &^= 1 << (old % 32)
		}
	}
	state[0]++
	s.recent[id/32] |= 1 << (id % 32)
}

// each calls f for each logit above −∞ that may be drawn, with its keys without and with
// the penalty.
func (s *sampler) each(f func(id int, raw, key uint32)) {
	for id, x := range s.x {
		word, bit := id/32, uint32(1)<<(id%32)
		if uint32(s.barred[word])&bit != 0 {
			continue
		}
		raw := backend.SampleKey(math.Float32bits(x))
		if raw == backend.SampleKeyNone {
			continue
		}
		key := raw
		if s.Window != 0 && uint32(s.recent[word])&bit != 0 && backend.SampleKeyFinite(raw) {
			key = s.SamplePenalty(raw)
		}
		f(id, raw, key)
	}
}

// choose draws a token, the one after so many draws.
func (s *sampler) choose(draws uint32) backend.SampleResult {
	largest, fault := uint32(0), -1
	s.best, s.bestID = 0, -1
	s.each(func(id int, raw, key uint32) {
		if !backend.SampleKeyFinite(raw) && fault < 0 {
			fault = id
		}
		largest = max(largest, raw)
		if key > s.best {
			s.best, s.bestID = key, id
		}
	})
	switch {
	case fault >= 0:
		return backend.SampleResult{ID: int32(fault), Status: backend.SampleNotFinite, Logit: s.x[fault]}
	case s.bestID < 0:
		return backend.SampleResult{Status: backend.SampleNone}
	}
	result := backend.SampleResult{Best: backend.SampleValue(largest)}
	total, all := uint64(0), 0 // with the penalty, and the number of tokens
	clear(s.cells[:])
	s.each(func(_ int, raw, key uint32) {
		result.Total += backend.SampleWeight(backend.SampleDistance(largest, raw))
		all++
		if s.Greedy {
			return
		}
		d := backend.SampleDistance(s.best, key)
		s.cells[backend.SampleCell(d)]++
		if s.TopP > 0 {
			total += backend.SampleWeight(d)
		}
	})
	if s.Greedy {
		result.ID, result.Kept = int32(s.bestID), 1
	} else {
		kept := s.keep(all, total)
		if kept == nil {
			result.Status = backend.SampleTooMany
			return result
		}
		result.ID, result.Kept = s.among(kept, draws), int32(len(kept))
	}
	result.Logit = s.x[result.ID]
	return result
}

// keep returns the tokens that the filters keep, of so many with so much weight, or nil if
// there may be others than the candidates.
func (s *sampler) keep(all int, total uint64) []drawable {
	last, n := -1, 0 // the last cell of the candidates, and how many these are
	for last+1 < len(s.cells) && n+int(s.cells[last+1]) <= backend.MaxCandidates {
		last++
		n += int(s.cells[last])
	}
	c := s.candidates[:0]
	s.each(func(id int, _, key uint32) {
		if d := backend.SampleDistance(s.best, key); backend.SampleCell(d) <= last {
			c = append(c, drawable{uint32(id), key, backend.SampleWeight(d)})
		}
	})
	slices.SortFunc(c, func(a, b drawable) int {
		return cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(a.id, b.id))
	})
	enough := n == all || backend.SampleCell(s.MinP) <= last
	if s.TopK > 0 {
		if n < all && n < int(s.TopK) {
			return nil
		}
		c, enough = c[:min(n, int(s.TopK))], true
		total = 0
		for _, x := range c {
			total += x.weight
		}
	}
	if s.TopP > 0 {
		before, target := uint64(0), s.SampleTarget(total)
		for i, x := range c {
			if before += x.weight; before >= target {
				c, enough = c[:i+1], true
				break
			}
		}
	}
	if !enough {
		return nil
	}
	for i, x := range c {
		if backend.SampleDistance(s.best, x.key) > s.MinP {
			return c[:i]
		}
	}
	return c
}

// among draws one of the tokens.
func (s *sampler) among(kept []drawable, draws uint32) int32 {
	total := uint64(0)
	for i := range kept {
		x := &kept[i]
		x.weight = backend.SampleWeight(s.SampleScaled(backend.SampleDistance(s.best, x.key)))
		total += x.weight
	}
	slices.SortFunc(kept, func(a, b drawable) int { return cmp.Compare(a.id, b.id) })
	u := s.SampleRandom(draws, total)
	for _, x := range kept {
		if u < x.weight {
			return int32(x.id)
		}
		u -= x.weight
	}
	panic("cpu: a random number is not below the sum of the weights")
}
