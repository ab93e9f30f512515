package conformance

// Changes of a step that must not change the bits of results.

import (
	"math/rand/v2"

	"caldera/backend"
)

// permuted moves blocks to other numbers, with what is in them.
func permuted(s *step, r *rand.Rand) {
	to := r.Perm(s.caches[0].Dim(1))
	for _, c := range s.caches {
		pool, n := sheet{}.Load(c), s.block*c.Dim(3)
		for from, to := range to {
			Set(c.Slice(1, to, to+1), pool.Row(from, n).v...)
		}
	}
	for i, number := range s.numbers {
		s.numbers[i] = to[number]
	}
}

// othersNaN makes all NaN that the first run does not see: other queries, other sequences,
// later positions, spare blocks.
func othersNaN(s *step, _ *rand.Rand) {
	kept := map[[2]int]Values{}
	s.eachRow(s.at[0].seq, func(cache, pos int, row backend.Tensor) {
		if pos < s.at[0].pos+s.run {
			kept[[2]int{cache, pos}] = sheet{}.Load(row)
		}
	})
	for i := s.run; i < s.runs*s.run; i++ {
		putRow(s.q, i, nan)
	}
	for _, c := range s.caches {
		Set(c, nan, negativeNaN)
	}
	s.eachRow(s.at[0].seq, func(cache, pos int, row backend.Tensor) {
		if x, ok := kept[[2]int{cache, pos}]; ok {
			Set(row, x.v...)
		}
	})
}

// paddedLast has padding at the last five tokens of each run.
func paddedLast(s *step, _ *rand.Rand) {
	for i := range s.padding {
		s.padding[i] = i%s.run >= s.run-5
	}
}

// unseenNaN makes NaN all that no token sees: rows of padding, later positions, other sequences, spare blocks.
func unseenNaN(s *step, _ *rand.Rand) {
	type place struct{ cache, seq, pos int }
	kept := map[place]Values{}
	for i, p := range s.at {
		last := s.run - 1
		for last >= 0 && s.padding[i*s.run+last] {
			last--
		}
		s.eachRow(p.seq, func(cache, pos int, row backend.Tensor) {
			if pos <= p.pos+last {
				kept[place{cache, p.seq, pos}] = sheet{}.Load(row)
			}
		})
	}
	for _, c := range s.caches {
		Set(c, nan, negativeNaN, inf)
	}
	for _, p := range s.at {
		s.eachRow(p.seq, func(cache, pos int, row backend.Tensor) {
			if x, ok := kept[place{cache, p.seq, pos}]; ok {
				Set(row, x.v...)
			}
		})
	}
}

// othersElsewhere moves all but the first run to other places.
func othersElsewhere(s *step, r *rand.Rand) {
	for i := range s.at[1:] {
		s.at[1+i] = place{(s.at[0].seq + 1 + r.IntN(s.sequences-1)) % s.sequences, r.IntN(s.context)}
	}
	for i := range s.padding[s.run:] {
		s.padding[s.run+i] = r.IntN(4) == 0
	}
}
