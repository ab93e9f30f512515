package nn

import (
	"slices"

	"caldera/backend"
)

// slot is the memory of one result: a Buffer that has a place in the program's
// memory once that is planned.
type slot struct {
	size       int
	shape      [4]int // of the result
	block      int    // bytes of one of its blocks; its place is a multiple, for tensors count in elements
	persistent bool   // its contents outlive the program's run
	at         int    // its place, in bytes, once planned
}

func (s *slot) Size() int { return s.size }
func (s *slot) Free()     {}

// len is the number of elements.
func (s *slot) len() int { return s.shape[0] * s.shape[1] * s.shape[2] * s.shape[3] }

// alignment of every place, in bytes: as much as any device asks of a binding,
// so that results are bound without a remainder.
const alignment = 256

// step is what the place of s is a multiple of.
func (s *slot) step() int {
	step := alignment
	for step%max(1, s.block) != 0 {
		step += alignment
	}
	return step
}

// plan gives each slot of ops a place such that no two which are in use at
// the same time overlap, and returns how many bytes that takes. A slot is in
// use from the first op that names it to the last one, or to the end if persistent:
// a result's memory serves again as soon as its last reader has run.
func plan(ops []backend.Op) int {
	type use struct {
		*slot
		from, to int
	}
	var uses []*use
	seen := map[*slot]*use{}
	for i, op := range ops {
		op.Operands(func(_ string, x *Tensor, _ backend.Access) {
			s, ok := x.Buf.(*slot)
			if !ok {
				return
			}
			if seen[s] == nil {
				seen[s] = &use{slot: s, from: i}
				uses = append(uses, seen[s])
			}
			seen[s].to = i
			if s.persistent {
				seen[s].to = len(ops)
			}
		})
	}
	// Large ones first, each into the lowest gap between those already placed
	// that are in use at the same time.
	slices.SortStableFunc(uses, func(a, b *use) int { return b.size - a.size })
	total := 0
	var placed []*use // by place
	for _, u := range uses {
		at, step := 0, u.step()
		for _, p := range placed {
			if p.to < u.from || u.to < p.from {
				continue
			}
			if at+u.size <= p.at {
				break
			}
			at = max(at, (p.at+p.size+step-1)/step*step)
		}
		u.at = at
		i, _ := slices.BinarySearchFunc(placed, at, func(p *use, at int) int { return p.at - at })
		placed = slices.Insert(placed, i, u)
		total = max(total, at+u.size)
	}
	return total
}
