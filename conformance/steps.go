package conformance

// Cases of steps: tokens of many sequences, in caches with and without a table.

import (
	"fmt"
	"math"
	"math/rand/v2"

	"caldera/backend"
)

// stepShape describes a case of Attention or Store whose tokens are runs of one sequence
// each.
type stepShape struct {
	sequences, context  int
	block               int // positions of a block; 0: there is no table
	batch               int // rows that the tokens are in; 0: 1
	runs, run           int // of tokens, in all and of each
	heads, groups, size int
	kv                  backend.DType // None: of those that are tried
	probs               bool
	scores              scores
	layout              Layout
	what                string
	change              func(s *step, r *rand.Rand) // what makes it an edge case
	again               func(s *step, r *rand.Rand) // changes the second run, which must give the same bits where the oracle has the same results
}

// spareBlocks are those of a pool that belong to no sequence.
const spareBlocks = 3

// step is what a case of a stepShape has, before it is put into tensors.
type step struct {
	stepShape
	at      []place          // of the first token of each run
	strayed int              // what is added to the sequence and the position of the others
	padding []bool           // of each token
	numbers []int            // of the blocks, those of each sequence in turn
	q       backend.Tensor   // of Attention
	caches  []backend.Tensor // keys and values side by side, or each
	table   backend.Tensor
}

func (s stepShape) String() string {
	name := fmt.Sprintf("kv=%v,runs=%dx%d,%dx%dx%d,cache=%dx%d", s.kv, s.runs, s.run, s.heads, s.groups, s.size, s.sequences, s.context)
	if s.block > 0 {
		name += fmt.Sprintf(",block=%d", s.block)
	}
	if s.batch > 1 {
		name += fmt.Sprintf(",batch=%d", s.batch)
	}
	if s.probs {
		name += ",probs"
	}
	name += s.scores.String()
	if s.what != "" {
		name += "," + s.what
	}
	return name + s.layout.String()
}

// rows are the tokens as [batch, time].
func (s stepShape) rows() (batch, time int) {
	batch = max(s.batch, 1)
	return batch, s.runs * s.run / batch
}

// tensors makes caches of vectors of these widths, and their table.
func (s stepShape) tensors(widths ...int) *step {
	x := &step{stepShape: s}
	sequences, positions := s.sequences, s.context
	if s.block > 0 {
		blocks := s.sequences * s.context / s.block
		sequences, positions = blocks+spareBlocks, s.block
		x.table = s.layout.Tensor(backend.I32, s.sequences, s.context/s.block)
	}
	for _, width := range widths {
		x.caches = append(x.caches, s.layout.Tensor(s.kv, sequences, positions, width))
	}
	return x
}

// fill draws places and blocks, and puts them into tensors. Each run has a sequence of
// its own.
func (s *step) fill(at backend.Tensor, r *rand.Rand, run int) {
	s.at, s.padding, s.numbers = nil, make([]bool, s.runs*s.run), nil
	for _, seq := range r.Perm(s.sequences)[:s.runs] {
		s.at = append(s.at, place{seq, r.IntN(s.context - s.run + 1)})
	}
	if s.block > 0 {
		s.numbers = r.Perm(s.caches[0].Dim(1))[:s.table.Len()]
	}
	if s.change != nil {
		s.change(s, r)
	}
	if run == 1 && s.again != nil {
		s.put(at)
		s.again(s, r)
	}
	s.put(at)
}

// put writes the tensors.
func (s *step) put(at backend.Tensor) {
	token := func(i int) place {
		p := s.at[i/s.run]
		if i%s.run > 0 {
			p = place{p.seq + s.strayed, p.pos + i%s.run + s.strayed}
		}
		if s.padding[i] {
			p.seq = padding
		}
		return p
	}
	fill(at.Slice(-2, 0, 1), func(i int) float64 { return float64(token(i).seq) })
	fill(at.Slice(-2, 1, 2), func(i int) float64 { return float64(int32(token(i).pos)) })
	if s.block > 0 {
		fill(s.table, func(i int) float64 { return float64(s.numbers[i]) })
	}
}

// eachRow calls f for the rows of a sequence in each cache.
func (s *step) eachRow(seq int, f func(cache, pos int, row backend.Tensor)) {
	for i, c := range s.caches {
		_, row := rowsOfCache(sheet{}, c, s.table)
		n := c.Dim(2)
		for pos := range s.context {
			if r, ok := row(place{seq, pos}); ok {
				f(i, pos, c.Slice(1, r/n, r/n+1).Slice(2, r%n, r%n+1))
			}
		}
	}
}

func (s stepShape) poison() Poison {
	if s.again != nil {
		return SameBits
	}
	return Clean
}

func (s stepShape) attention() Case {
	return Case{Name: "attention/" + s.String(), Edge: s.what != "", Poison: s.poison(), Build: func() (backend.Op, Fill) {
		l, width, kv := s.layout, s.heads*s.size, s.groups*s.size
		batch, time := s.rows()
		x := s.tensors(2 * kv)
		k, v := x.caches[0].Slice(-1, 0, kv), x.caches[0].Slice(-1, kv, 2*kv)
		if l != exact { // rows of values are farther apart than those of keys
			x = s.tensors(kv, kv+3)
			k, v = x.caches[0], x.caches[1].Slice(-1, 3, kv+3)
		}
		o := &backend.Attention{
			Dst: l.Tensor(backend.F32, batch, time, width), Q: l.Tensor(backend.F32, batch, time, width),
			K: k, V: v, At: l.places(batch, time), Table: x.table, Run: s.run,
			Sinks: s.scores.sinkTensor(l, s.heads),
			Heads: s.heads, Scale: s.scores.of(s.size), Window: s.scores.window, SoftCap: s.scores.softCap,
		}
		if s.probs {
			o.Probs = l.Tensor(backend.F32, batch, s.heads, time, s.context)
		}
		return o, func(r *rand.Rand, run int) {
			if s.scores.sinks != nil {
				Set(o.Sinks, s.scores.sinks...)
			}
			x.q = o.Q
			x.fill(o.At, r, run)
		}
	}}
}

func (s stepShape) store() Case {
	return Case{Name: "store/" + s.String(), Edge: s.what != "", Poison: s.poison(), Build: func() (backend.Op, Fill) {
		width := s.groups * s.size
		batch, time := s.rows()
		x := s.tensors(2 * width)
		o := &backend.Store{Dst: x.caches[0].Slice(-1, width, 2*width), X: s.layout.Tensor(backend.F32, batch, time, width), At: s.layout.places(batch, time), Table: x.table}
		return o, func(r *rand.Rand, run int) { x.fill(o.At, r, run) }
	}}
}

// What makes edge cases of steps.

// padded has padding at the end of each run, of another length in each.
func padded(s *step, _ *rand.Rand) {
	for i := range s.padding {
		s.padding[i] = i%s.run >= s.run-i/s.run%(s.run+1)
	}
}

// paddedAnywhere has it at another place of each run, the first one of the first run, and
// at most at one.
func paddedAnywhere(s *step, _ *rand.Rand) {
	for i := range s.padding {
		s.padding[i] = i%s.run == 7*(i/s.run)%(s.run+1)
	}
}

// paddedAtRandom has it at any places.
func paddedAtRandom(s *step, r *rand.Rand) {
	for i := range s.padding {
		s.padding[i] = r.IntN(4) == 0
	}
}

// strayed has tokens that say other places than the first of their run does, from which
// attention counts.
func strayed(s *step, _ *rand.Rand) { s.strayed = 1 }

// The ends of what an i32 holds.
const most, least = math.MaxInt32, math.MinInt32

// wraps is an i32 which times n is a small number modulo 2³², if there is one.
func wraps(n int) int { return min((1<<32+n-1)/n, most) }

func sequencesOutside(s *step, _ *rand.Rand) {
	for i, seq := range []int{s.sequences, padding, -2, wraps(s.context), least} {
		if i < len(s.at) {
			s.at[i].seq = seq
		}
	}
}

// positionsOutside has padding there, too.
func positionsOutside(s *step, _ *rand.Rand) {
	for i, pos := range []int{s.context - 1, -1, -s.run + 1, s.context, most, least} {
		if i < len(s.at) {
			s.at[i].pos = pos
			s.padding[(i+1)*s.run-1] = s.run > 1
		}
	}
}

// blocksOutside has blocks that are none in front of, at and behind a position.
func blocksOutside(s *step, _ *rand.Rand) {
	n := s.context / s.block
	numbers := []int{-1, s.caches[0].Dim(1), most, wraps(s.block), least, least}
	for i, p := range s.at {
		number, of := numbers[i%len(numbers)], s.numbers[p.seq*n:(p.seq+1)*n]
		switch i % 3 {
		case 0:
			of[0] = number
		case 1:
			of[p.pos/s.block] = number
		case 2:
			for j := (p.pos+s.run-1)/s.block + 1; j < n; j++ {
				of[j] = number // no token sees it
			}
		}
	}
}

// forked has sequences that share blocks, all but the last of the first one.
func forked(s *step, _ *rand.Rand) {
	n := s.context / s.block
	for i := range s.numbers {
		if i%n < n-1 {
			s.numbers[i] = s.numbers[i%n]
		}
	}
}

// stepShapes are those that attention is tried with. They have few sizes, for a backend
// may compile each anew.
func stepShapes() []stepShape {
	var list []stepShape
	add := func(s stepShape, what string, change, again func(*step, *rand.Rand)) {
		s.what, s.change, s.again = what, change, again
		list = append(list, s)
	}
	for i, block := range []int{1, 0, 16, 64} {
		for j, run := range []int{1, 5, 23} {
			s := stepShape{sequences: 7, context: 192, block: block, runs: 6, run: run, heads: 4, groups: 2, size: 8, layout: exact}
			if (i+j)%2 == 0 {
				s.layout, s.size, s.heads = strided, 5, 2
			}
			if run == 5 {
				s.batch = 3
			}
			add(s, "", nil, nil)
			add(s, "padding at the end", padded, nil)
			add(s, "padding anywhere", paddedAnywhere, nil)
			add(s, "sequences outside", sequencesOutside, nil)
			add(s, "positions outside", positionsOutside, nil)
			if run == 5 {
				add(s, "places of others in a run", strayed, nil)
			}
			add(s, "others are NaN", nil, othersNaN)
			add(s, "others are elsewhere", nil, othersElsewhere)
			if block > 0 {
				add(s, "blocks outside", blocksOutside, nil)
				add(s, "forks", forked, nil)
				add(s, "blocks are permuted", nil, permuted)
			}
			s.probs = true
			add(s, "padding anywhere", paddedAnywhere, nil)
			if block > 0 {
				add(s, "blocks outside", blocksOutside, nil)
			}
			s.probs, s.scores.window = false, 33
			add(s, "", nil, nil)
			if block > 0 {
				add(s, "blocks outside", blocksOutside, nil)
				add(s, "blocks are permuted", nil, permuted)
			}
		}
	}
	// Chunks of keys.
	for _, s := range []stepShape{
		{sequences: 3, context: 1280, block: 64, runs: 3, run: 1, heads: 4, groups: 1, size: 8, layout: exact},
		{sequences: 3, context: 1280, block: 64, runs: 2, run: 23, heads: 4, groups: 1, size: 8, layout: exact},
	} {
		add(s, "", nil, nil)
	}
	// What some models have.
	all := stepShape{sequences: 5, context: 128, block: 16, runs: 4, run: 23, heads: 4, groups: 2, size: 8, layout: exact, probs: true, scores: scores{window: 40, softCap: 2, sinks: []float64{0, 2}}}
	add(all, "", nil, nil)
	add(all, "padding at random", paddedAtRandom, nil)
	add(all, "blocks outside", blocksOutside, nil)
	// Chunks of queries.
	long := stepShape{sequences: 3, context: 128, block: 16, runs: 2, run: 70, heads: 2, groups: 1, size: 8, layout: exact}
	add(long, "padding at random", paddedAtRandom, nil)
	long.scores.window = 33
	add(long, "padding at random", paddedAtRandom, nil)
	// Rows of padding, among those of tokens.
	for _, block := range []int{0, 16} {
		add(stepShape{sequences: 3, context: 32, block: block, runs: 2, run: 13, heads: 2, groups: 1, size: 32, layout: exact},
			"padding, and what no token sees is NaN", paddedLast, unseenNaN)
	}
	for _, s := range largeSteps(8) {
		s.heads, s.groups = 4, 2
		add(s, "padding anywhere", paddedAnywhere, nil)
		add(s, "sequences outside", sequencesOutside, nil)
	}
	return list
}

// largeSteps are shapes whose cache takes several bindings of 256 KiB, the last ones also
// for one sequence, where two heads of that size are stored.
func largeSteps(size int) []stepShape {
	s := stepShape{sequences: 7, context: 1024, runs: 6, run: 1, groups: 2, size: size, kv: backend.F32, layout: exact}
	chunks, longer := s, s
	chunks.run = 5
	longer.sequences, longer.context, longer.runs, longer.run = 2, 2304, 2, 5
	return []stepShape{s, chunks, longer}
}

func stepCases() (cases []Case) {
	for i, s := range stepShapes() {
		dtypes := []backend.DType{backend.F32, backend.F16}
		switch plain := !s.probs && s.scores.window == 0; {
		case s.kv != backend.None:
			dtypes = []backend.DType{s.kv}
		case !plain || s.again == nil && s.what != "":
			dtypes = dtypes[i%2:][:1]
		}
		for _, s.kv = range dtypes {
			cases = append(cases, s.attention())
		}
	}
	for _, e := range []struct {
		what   string
		change func(*step, *rand.Rand)
	}{{"padding at the end", padded}, {"padding anywhere", paddedAnywhere}, {"sequences outside", sequencesOutside}, {"positions outside", positionsOutside}} {
		s := stepShape{sequences: 3, context: 24, runs: 2, run: 11, heads: 2, groups: 1, size: 32, layout: exact, kv: backend.F32, what: e.what, change: e.change}
		cases = append(cases, s.attention())
	}
	s := stepShape{sequences: 7, context: 192, block: 16, runs: 6, run: 1, heads: 4, groups: 2, size: 8, layout: exact, kv: backend.BF16}
	cases = append(cases, s.attention())
	s.run, s.layout, s.size, s.what, s.change = 5, strided, 5, "blocks outside", blocksOutside
	return append(cases, s.attention())
}

// storeSteps are cases of Store.
func storeSteps() (cases []Case) {
	for i, block := range []int{1, 16, 64, 0} {
		for _, run := range []int{1, 5} {
			s := stepShape{sequences: 7, context: 192, block: block, runs: 6, run: run, groups: 1, size: 7 + i, kv: backend.DTypes(backend.Caches)[i%3], layout: Layouts[i%len(Layouts)]}
			if run == 5 {
				s.batch = 2
			}
			cases = append(cases, s.store())
			for _, e := range []struct {
				what   string
				change func(*step, *rand.Rand)
			}{{"padding at the end", padded}, {"padding anywhere", paddedAnywhere}, {"sequences outside", sequencesOutside},
				{"positions outside", positionsOutside}, {"blocks outside", blocksOutside}} {
				if s.what, s.change = e.what, e.change; block > 0 || e.what != "blocks outside" {
					cases = append(cases, s.store())
				}
			}
		}
	}
	for _, s := range largeSteps(8) {
		s.what, s.change = "sequences outside", sequencesOutside
		cases = append(cases, s.store())
		s.what, s.change = "positions outside", positionsOutside
		cases = append(cases, s.store())
	}
	return cases
}

// randomStep is of any shape; reads says that two tokens may have the same row.
func randomStep(r *rand.Rand, reads bool) stepShape {
	s := stepShape{sequences: 1 + r.IntN(8), block: []int{0, 1, 2, 16, 64}[r.IntN(5)], run: 1 + r.IntN(30), groups: 1 + r.IntN(3), size: 1 + r.IntN(70),
		kv: anyOf(r, backend.DTypes(backend.Caches)), probs: r.IntN(2) == 0, layout: RandomLayout(r)}
	if r.IntN(2) == 0 {
		s.run = 1
	}
	s.heads = s.groups * (1 + r.IntN(3))
	s.runs = 1 + r.IntN(s.sequences)
	s.context = s.run + r.IntN(200)
	if s.block > 0 {
		s.context = (s.context + s.block - 1) / s.block * s.block
	}
	if r.IntN(2) == 0 {
		s.batch = s.runs
	}
	s.scores = randomScores(r, s.context)
	edges := []func(*step, *rand.Rand){nil, padded, paddedAnywhere, paddedAtRandom, sequencesOutside, positionsOutside}
	if s.block > 0 {
		edges = append(edges, blocksOutside)
	}
	if reads {
		edges = append(edges, strayed)
	}
	if reads && s.block > 0 {
		edges = append(edges, forked)
	}
	i := r.IntN(len(edges))
	s.what, s.change = fmt.Sprintf("edge=%d", i), edges[i]
	return s
}
