package conformance

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"caldera/backend"
)

// Cases of Linear with a norm before the product, or a rotation or a store behind it.

// joinedShape describes one.
type joinedShape struct {
	linearShape                      // rows are [batch, time] where tokens have places
	norm        string               // layernorm, rmsnorm or nothing
	heads       int                  // that are rotated; 0: none
	plain       int                  // heads behind them that are not
	gate        backend.LinearGate   //
	pairing     backend.Pairing      //
	spare       int                  // elements of a head that are in no pair
	cache       backend.DType        // of what is stored; None: nothing is
	from        int                  // the first output that is stored
	block       int                  // of a pool of blocks with a table; 0: none
	what        string               // makes it an edge case
	seqs, at    []float64            // of tokens, in turn, instead of random ones
	x           func(backend.Tensor) // changes x
}

const joinedContext = 16 // positions of each of two sequences

func (s joinedShape) String() string {
	name := s.linearShape.String()
	if s.norm != "" {
		name += "," + s.norm
	}
	if s.heads > 0 {
		name += fmt.Sprintf(",heads=%d,%v", s.heads, s.pairing)
		if s.plain > 0 {
			name += fmt.Sprintf(",plain=%d", s.plain)
		}
		if s.spare > 0 {
			name += fmt.Sprintf(",spare=%d", s.spare)
		}
	}
	if s.gate.On {
		name += fmt.Sprintf(",gate=%v", s.gate.Func)
		if s.gate.Limit != 0 || s.gate.Shift != 0 {
			name += fmt.Sprintf(",limit=%v,shift=%v", s.gate.Limit, s.gate.Shift)
		}
	}
	if s.cache != backend.None {
		name += fmt.Sprintf(",cache=%v,from=%d", s.cache, s.from)
	}
	if s.block > 0 {
		name += fmt.Sprintf(",block=%d", s.block)
	}
	if s.what != "" {
		name += "," + s.what
	}
	return name
}

func (s joinedShape) build() (*backend.Linear, Fill) {
	l, o := s.layout, s.tensors()
	tokens := o.X.Rows()
	if s.norm != "" {
		o.Norm = backend.LinearNorm{Gamma: l.Tensor(backend.F32, s.in), Epsilon: 1e-5, Normed: l.Tensor(backend.F32, o.X.Shape[:]...)}
		if s.norm == "layernorm" {
			o.Norm.Beta = l.Tensor(backend.F32, s.in)
		}
	}
	at := backend.Tensor{}
	if s.heads > 0 || s.cache != backend.None {
		at = l.places(1, tokens)
	}
	if s.heads > 0 {
		size := s.out / (s.heads + s.plain)
		o.Rotation = backend.LinearRotation{Angles: l.Tensor(backend.F32, joinedContext, size-s.spare), At: at, Heads: s.heads, Pairing: s.pairing}
		o.Sum = l.Tensor(backend.F32, s.rows[0], tokens/s.rows[0], s.heads*size)
	}
	if o.Gate = s.gate; s.gate.On {
		o.Sum = l.Tensor(backend.F32, o.Dst.Shape[:]...)
		o.Dst = l.Tensor(backend.F32, o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), s.out/2)
	}
	if s.cache != backend.None {
		o.Store = backend.LinearStore{At: at, From: s.from}
		if s.block > 0 {
			blocks := joinedContext / s.block
			o.Store.Cache = l.Tensor(s.cache, 2*blocks+spareBlocks, s.block, s.out-s.from)
			o.Store.Table = l.Tensor(backend.I32, 2, blocks)
		} else {
			o.Store.Cache = l.Tensor(s.cache, 2, joinedContext, s.out-s.from)
		}
	}
	return o, func(r *rand.Rand, run int) {
		if s.x != nil {
			s.x(o.X)
		}
		if at.Absent() {
			return
		}
		places := r.Perm(2 * joinedContext) // no two tokens have the same
		fill(at.Slice(-2, 0, 1), func(i int) float64 { return float64(places[i%len(places)] % 2) })
		fill(at.Slice(-2, 1, 2), func(i int) float64 { return float64(places[i%len(places)] / 2) })
		setSequences(at, s.seqs, run)
		if s.at != nil {
			Set(at.Slice(-2, 1, 2), s.at[run:]...)
		}
		if s.block > 0 {
			numbers := r.Perm(o.Store.Cache.Dim(1))
			fill(o.Store.Table, func(i int) float64 { return float64(numbers[i]) })
			if s.what == "block outside" {
				fill(o.Store.Table, func(i int) float64 { return []float64{-1, float64(o.Store.Cache.Dim(1))}[i%2] })
			}
		}
	}
}

func (s joinedShape) joined() Case {
	return Case{Name: "linear/" + s.String(), Edge: s.what != "", Build: func() (backend.Op, Fill) { return s.build() }}
}

// joinedCases are few: what they are made of is tried apart, and each constant costs a
// pipeline.
func joinedCases() []Case {
	var cases []Case
	one := func(in, out int, w backend.DType) linearShape {
		return linearShape{rows: []int{1, 1}, in: in, out: out, w: w, layout: exact}
	}
	for i, n := range [][2]int{{8, 2}, {64, 68}, {96, 67}, {768, 36}, {1600, 18}, {3072, 10}, {6400, 6}, {33, 31}} { // in, out
		for j, norm := range []string{"layernorm", "rmsnorm"} {
			s := joinedShape{linearShape: one(n[0], n[1], backend.F32), norm: norm}
			s.noBias, s.layout = (i+j)%3 == 0, []Layout{exact, strided}[i/4*j]
			cases = append(cases, s.joined())
			s.rows = []int{1, 1, 3}[j : 2+j]
			if i == 1 {
				s.activation = backend.GELUTanh
				cases = append(cases, s.joined())
			}
			if i == 2 {
				s.residual = true
				cases = append(cases, s.joined())
			}
		}
	}
	for _, d := range fully(backend.DTypes(backend.Weights)[1:]) {
		cases = append(cases, joinedShape{linearShape: one(96, 20, d), norm: "layernorm"}.joined(),
			joinedShape{linearShape: one(768, 16, d), norm: "rmsnorm", heads: 2, cache: backend.F32}.joined())
	}
	for _, d := range fully(backend.QuantizedDTypes()) { // two blocks at a time, and activations in blocks
		cases = append(cases, joinedShape{linearShape: one(192, 20, d), norm: "layernorm"}.joined())
		for i, cache := range backend.DTypes(backend.Caches) {
			s := joinedShape{linearShape: one(192, 48, d), cache: cache, from: 16 * (i % 2), heads: 2 * (1 - i%2)}
			s.blocks = true
			cases = append(cases, s.joined())
		}
	}
	// Queries, keys and values of one product, of which the last two are stored; and keys of
	// their own, which are rotated before that.
	for _, s := range []joinedShape{
		{norm: "layernorm", from: 16}, {from: 16, block: 4}, {norm: "rmsnorm", heads: 3}, {norm: "rmsnorm", heads: 3, pairing: backend.Neighbours},
		{heads: 6}, {norm: "layernorm", heads: 2, block: 4}, {heads: 2, spare: 4}, {norm: "rmsnorm"},
		{norm: "rmsnorm", heads: 2, plain: 1, from: 16}, {heads: 4, plain: 2, pairing: backend.Neighbours, from: 32, block: 4},
	} {
		for i, cache := range append([]backend.DType{backend.None}, backend.DTypes(backend.Caches)...) {
			s.linearShape, s.cache = one(64, 48, backend.F32), cache
			if cache == backend.None && (s.heads == 0 || s.block > 0) {
				continue
			}
			s.noBias = i%2 == 0
			cases = append(cases, s.joined())
			if i > 0 {
				more := s
				more.rows = []int{2, 3}
				cases = append(cases, more.joined())
			}
		}
	}
	// Gates: the functions, sizes at which workgroups end, and types of weights.
	for i, n := range [][2]int{{64, 68}, {96, 10}, {768, 36}, {64, 16392}} { // in, out
		s := joinedShape{linearShape: one(n[0], n[1], backend.F32), gate: backend.LinearGate{On: true, Func: backend.SiLU}}
		s.norm, s.noBias = []string{"rmsnorm", "", "layernorm"}[i%3], i%2 == 0
		cases = append(cases, s.joined())
		if i > 1 {
			continue
		}
		s.rows = []int{2, 3}
		cases = append(cases, s.joined())
		s.rows, s.layout, s.gate = []int{1, 1}, strided, backend.LinearGate{On: true, Func: backend.GELUSigmoid, Limit: 0.75, Shift: 1}
		cases = append(cases, s.joined())
	}
	for _, f := range []backend.Activation{backend.NoActivation, backend.GELUTanh} {
		cases = append(cases, joinedShape{linearShape: one(64, 20, backend.F32), gate: backend.LinearGate{On: true, Func: f}}.joined())
	}
	for _, d := range fully(backend.DTypes(backend.Weights)[1:]) {
		cases = append(cases, joinedShape{linearShape: one(96, 36, d), norm: "rmsnorm", gate: backend.LinearGate{On: true, Func: backend.SiLU}}.joined())
	}
	for _, rows := range [][]int{{1, 1}, {2, 3}} {
		s := joinedShape{linearShape: linearShape{rows: rows, in: 64, out: 24, w: backend.F32, layout: exact}, norm: "layernorm", heads: 3, cache: backend.F16, from: 8}
		s.what, s.seqs = "padding", paddingAmongOthers
		cases = append(cases, s.joined())
		s.what, s.seqs, s.at = "positions outside", nil, []float64{joinedContext, -1, 3, 1 << 30, 5, 6, -7}
		cases = append(cases, s.joined())
		s.what, s.at, s.block = "block outside", nil, 8
		cases = append(cases, s.joined())
		s.what, s.seqs, s.block = "sequences outside", []float64{2, 1 << 20, 0, 1, -2, 7, 3}, 0
		cases = append(cases, s.joined())
		far := joinedShape{linearShape: s.linearShape, norm: "layernorm", what: "mean 1000, deviation 1"}
		far.x = func(x backend.Tensor) { Normal(x, seed(far.what, 0), 1000, 1) }
		cases = append(cases, far.joined())
	}
	return cases
}

// oddHalfCases store heads whose halves share a word of the cache.
func oddHalfCases() []Case {
	var cases []Case
	for _, cache := range backend.DTypes(backend.Caches) {
		s := joinedShape{linearShape: linearShape{rows: []int{1, 1}, in: 64, out: 24, w: backend.F16, layout: exact}, heads: 2, plain: 2, cache: cache, what: "odd halves"}
		cases = append(cases, s.joined())
	}
	return cases
}

// normedRowCases have a norm of few rows, which a product may compute too.
func normedRowCases() []Case {
	var cases []Case
	for _, d := range fully(backend.DTypes(backend.Weights)) {
		for i, rows := range [][]int{{1, 3}, {2, 1}} {
			s := joinedShape{linearShape: linearShape{rows: rows, in: 96 + 64*i, out: 36, w: d, layout: exact, residual: i == 0}, norm: []string{"layernorm", "rmsnorm"}[i]}
			cases = append(cases, s.joined())
		}
	}
	return cases
}

// roundedJoinedCases round x, behind a norm where there is one, in products of one row and of a few, with
// weights of d.
func roundedJoinedCases(d backend.DType) []Case {
	var cases []Case
	shape := func(rows, in, out int) linearShape {
		return linearShape{rows: []int{1, rows}, in: in, out: out, w: d, rounded: true, layout: exact}
	}
	activated := shape(1, 192, 20)
	activated.activation, activated.residual = backend.GELUTanh, true
	added := shape(3, 96, 36)
	added.residual = true
	for _, s := range []joinedShape{
		{linearShape: activated, norm: "layernorm"}, {linearShape: added, norm: "layernorm"}, {linearShape: shape(2, 160, 36), norm: "rmsnorm"},
		{linearShape: shape(1, 192, 48), norm: "rmsnorm", heads: 2, plain: 1, cache: backend.F16, from: 16},
		{linearShape: shape(1, 192, 36), norm: "rmsnorm", gate: backend.LinearGate{On: true, Func: backend.SiLU}},
		{linearShape: shape(3, 96, 48), heads: 3, cache: backend.F32, from: 16},
	} {
		cases = append(cases, s.joined())
	}
	for _, rows := range []int{1, 5} {
		for i, what := range []string{"ties", "what f16 does not hold", "times 2¹³ infinite", "denormals"} {
			s := joinedShape{linearShape: shape(rows, 64, 20), what: what}
			s.x = func(x backend.Tensor) {
				fill(x, func(j int) float64 { return roundingEdges[i][j%len(roundingEdges[i])] })
			}
			cases = append(cases, s.joined())
		}
	}
	return cases
}

// roundingEdges are numbers of about one size each, at ties of significands of 11 bits and beside them.
var roundingEdges = [4][]float64{
	{1 + 0x1p-11, 1 + 0x3p-11, -1 - 0x1p-11, 1 + 0x1.0004p-11, 1 + 0x1.fffcp-12, 2 - 0x1p-11, 2 - 0x1.0004p-11},
	{65504, 65519, 65520, 65536, -1e5, 98304 + 32, 0x1.002p17, -0x1.006p17},
	{0x1.002p115, -0x1.006p115, 0x1.ff8p115, 0x1p115, 0x1.002p116, -0x1.0028p115, 0x1.006p115}, // whose products with integers have sums
	{0x1p-136, 0x1.8p-136, -0x1p-137, 0x1.004p-127, 0x1.ffep-126, 0x1.006p-126},
}

// convertedCases have x become blocks in the product, with weights of d.
func convertedCases(d backend.DType) []Case {
	var cases []Case
	for i, cache := range backend.DTypes(backend.Caches) {
		s := joinedShape{linearShape: linearShape{rows: []int{1, 1}, in: 192, out: 48, w: d, converted: true, layout: exact}, cache: cache, from: 16 * (i % 2), heads: 2 * (1 - i%2)}
		cases = append(cases, s.joined())
	}
	for i, n := range [][2]int{{64, 5}, {96, 12}, {768, 20}, {3072, 10}, {6400, 6}} { // in, out
		s := joinedShape{linearShape: linearShape{rows: []int{1, 1}, in: n[0], out: n[1], w: d, converted: true, noBias: i%2 == 1, layout: []Layout{exact, strided}[i%2]}}
		if s.norm = []string{"", "layernorm", "rmsnorm"}[i%3]; i == 3 {
			s.residual, s.activation = true, backend.GELUTanh
		}
		cases = append(cases, s.joined())
	}
	s := joinedShape{linearShape: linearShape{rows: []int{1, 1}, in: 192, out: 36, w: d, converted: true, layout: exact}, norm: "rmsnorm"}
	gated := s
	gated.gate = backend.LinearGate{On: true, Func: backend.SiLU}
	cases = append(cases, gated.joined())
	s.rows = []int{2, 3}
	cases = append(cases, s.joined())
	// Blocks whose scales are denormal in f16, 0 or too large for it.
	for _, c := range []struct {
		what string
		size float64
	}{{"scales of one bit", 0x1p-18}, {"numbers that become 0", 0x1p-24}, {"scales that become infinite", 0x1p22}} {
		s := joinedShape{linearShape: linearShape{rows: []int{1, 1}, in: 192, out: 20, w: d, converted: true, layout: exact}, what: c.what}
		s.x = func(x backend.Tensor) { Normal(x, seed(c.what, 0), 0, c.size) }
		cases = append(cases, s.joined())
	}
	return cases
}

func randomJoined(r *rand.Rand) joinedShape {
	s := joinedShape{linearShape: linearShape{rows: []int{1, 1 + r.IntN(2)*r.IntN(5)}, in: 8 * (1 + r.IntN(200)), out: 8 * (1 + r.IntN(40)),
		w: anyOf(r, backend.DTypes(backend.Weights)), noBias: r.IntN(2) == 0, layout: RandomLayout(r)}}
	if s.w.Quantized() {
		s.in, s.converted = s.w.BlockLen()*(1+r.IntN(1920/s.w.BlockLen())), r.IntN(2) == 0
	}
	s.rounded = s.w != backend.F32 && !s.converted && r.IntN(2) == 0
	s.norm = []string{"", "layernorm", "rmsnorm"}[r.IntN(3)]
	switch r.IntN(4) {
	case 0, 1:
		s.heads, s.pairing = []int{1, 2, 4}[r.IntN(3)], backend.Pairing(r.IntN(2))
		if s.heads == 2 && r.IntN(2) == 0 {
			s.plain = 2
		}
	case 2:
		s.gate = backend.LinearGate{On: true, Func: backend.Activation(r.IntN(6)), Limit: float32(r.IntN(2)), Shift: float32(r.IntN(2))}
		return s
	}
	if r.IntN(2) == 0 {
		s.cache, s.from = anyOf(r, backend.DTypes(backend.Caches)), r.IntN(s.out)
		s.block = []int{0, 4}[r.IntN(2)]
	}
	return s
}

// joinedNonFinite puts NaN and infinities into x, the norm and w.
func joinedNonFinite() []Case {
	var cases []Case
	for _, s := range []joinedShape{
		{norm: "layernorm", cache: backend.F32}, {norm: "rmsnorm", heads: 2, cache: backend.F16}, {heads: 2},
		{norm: "rmsnorm", gate: backend.LinearGate{On: true, Func: backend.SiLU, Limit: 2}},
	} {
		for _, rows := range [][]int{{1, 1}, {1, 3}} {
			s.linearShape = linearShape{rows: slices.Clone(rows), in: 72, out: 68, w: backend.F32, layout: exact}
			s.what = "not finite"
			cases = append(cases, Case{Name: "linear/" + s.String(), Edge: true, Poison: SameBits, Build: func() (backend.Op, Fill) {
				o, fill := s.build()
				return o, func(r *rand.Rand, run int) {
					fill(seed(s.what, 0), 0) // tokens stand where they stood
					if run == 0 {
						return
					}
					Put(o.W, 1, 0, nan)
					Put(o.W, 67, -1, negativeNaN)
					Put(o.W, 30, 7, -inf)
					if rows[1] > 1 {
						Put(o.X, 1, 3, nan)
					}
				}
			}})
		}
	}
	return cases
}
