package nn

import (
	"slices"

	"caldera/backend"
)

// room is a Buffer that stands for memory yet to be planned.
type room struct {
	size int
	kept bool // its contents outlive the program's run
	at   int  // its place, in bytes, once planned
}

func (r *room) Size() int { return r.size }
func (r *room) Free()     {}

// alignment of every place, in bytes: as much as any device asks of a binding,
// so that results are bound without a remainder.
const alignment = 256

// plan gives each room of ops a place such that no two which are in use at
// the same time overlap, and returns how many bytes that takes. A room is in
// use from the first op that names it to the last one, or to the end if kept:
// a result's memory serves again as soon as its last reader has run.
func plan(ops []backend.Op) int {
	type use struct {
		*room
		from, to int
	}
	var uses []*use
	seen := map[*room]*use{}
	for i, op := range ops {
		op.Operands(func(_ string, x *Tensor, _ backend.Access) {
			r, ok := x.Buf.(*room)
			if !ok {
				return
			}
			if seen[r] == nil {
				seen[r] = &use{room: r, from: i}
				uses = append(uses, seen[r])
			}
			seen[r].to = i
			if r.kept {
				seen[r].to = len(ops)
			}
		})
	}
	// Large ones first, each into the lowest gap between those already placed
	// that are in use at the same time.
	slices.SortStableFunc(uses, func(a, b *use) int { return b.size - a.size })
	total := 0
	var placed []*use // by place
	for _, u := range uses {
		at := 0
		for _, p := range placed {
			if p.to < u.from || u.to < p.from {
				continue
			}
			if at+u.size <= p.at {
				break
			}
			at = max(at, (p.at+p.size+alignment-1)/alignment*alignment)
		}
		u.at = at
		i, _ := slices.BinarySearchFunc(placed, at, func(p *use, at int) int { return p.at - at })
		placed = slices.Insert(placed, i, u)
		total = max(total, at+u.size)
	}
	return total
}
