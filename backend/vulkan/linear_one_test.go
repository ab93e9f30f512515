//go:build cgo

package vulkan

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/shaders"
)

// layer is the ops of a layer for one token, as nn.Tape writes them.
type layer struct {
	t   *testing.T
	b   *Backend
	w   backend.DType
	ops []backend.Op

	context int  // positions of the cache; 0: 32
	row     int  // numbers of a token between blocks; 0: as many as its heads have
	blocks  bool // products with weights in blocks read x in blocks
	rounds  bool // products with weights that are not f32 round x

	// Of queries, keys and values, as other families than Llama have them.
	biases bool // products have biases
	normed bool // heads of queries and keys are normalised
}

func (l *layer) f32(dims ...int) backend.Tensor { return newTensor(l.t, l.b, backend.F32, dims...) }

// cache is one of a sequence, with width elements a position.
func (l *layer) cache(d backend.DType, width int) backend.Tensor {
	return newTensor(l.t, l.b, d, 1, cmp.Or(l.context, 32), width)
}

func (l *layer) add(op backend.Op) { l.ops = append(l.ops, op) }

// factor is x as a product reads it.
func (l *layer) factor(x backend.Tensor) backend.Tensor {
	if !l.blocks || !l.w.Quantized() {
		return x
	}
	dst := newTensor(l.t, l.b, backend.Q8_A, x.Dim(-3), x.Dim(-2), x.Dim(-1))
	l.add(&backend.Copy{Dst: dst, X: x})
	return dst
}

// rounded is scratch for x, where a product with w rounds it.
func (l *layer) rounded(w, x backend.Tensor) backend.Tensor {
	if !l.rounds || w.DType == backend.F32 {
		return backend.Tensor{}
	}
	return l.f32(x.Dim(-3), x.Dim(-2), x.Dim(-1))
}

func (l *layer) linear(x backend.Tensor, out int) backend.Tensor {
	dst, w := l.f32(x.Dim(-3), x.Dim(-2), out), newTensor(l.t, l.b, l.w, out, x.Dim(-1))
	l.add(&backend.Linear{Dst: dst, X: l.factor(x), W: w, Bias: l.f32(out), Rounded: l.rounded(w, x)})
	return dst
}

func (l *layer) norm(x backend.Tensor, rms bool) backend.Tensor {
	dst, width := l.f32(1, x.Dim(-2), x.Dim(-1)), x.Dim(-1)
	if rms {
		l.add(&backend.RMSNorm{Dst: dst, X: x, Gamma: l.f32(width), Epsilon: 1e-5})
	} else {
		l.add(&backend.LayerNorm{Dst: dst, X: x, Gamma: l.f32(width), Beta: l.f32(width), Epsilon: 1e-5})
	}
	return dst
}

func (l *layer) residual(x, y backend.Tensor) backend.Tensor {
	dst := l.f32(1, x.Dim(-2), x.Dim(-1))
	l.add(&backend.Add{Dst: dst, A: x, B: y})
	return dst
}

// gpt2Layer is a layer of GPT-2 for so many tokens, with a cache of a dtype and perhaps a table.
func gpt2Layer(l *layer, tokens int, cache backend.DType, block int) []backend.Op {
	const width, heads = 256, 4
	row := cmp.Or(l.row, width)
	x, at := l.f32(1, tokens, row), newTensor(l.t, l.b, backend.I32, 2, tokens)
	kv, table := l.cache(cache, 2*width), backend.Tensor{}
	if block > 0 {
		kv, table = newTensor(l.t, l.b, cache, 5, block, 2*width), newTensor(l.t, l.b, backend.I32, 1, 32/block)
	}
	qkv := l.linear(l.norm(x, false), 3*width)
	l.add(&backend.Store{Dst: kv, X: qkv.Slice(-1, width, 3*width), At: at, Table: table})
	y := l.f32(1, tokens, width)
	l.add(&backend.Attention{Dst: y, Q: qkv.Slice(-1, 0, width), K: kv.Slice(-1, 0, width), V: kv.Slice(-1, width, 2*width), At: at, Table: table, Heads: heads, Scale: 0.25})
	x = l.residual(x, l.linear(y, row))
	up := l.linear(l.norm(x, false), 4*width)
	hidden := l.f32(1, tokens, 4*width)
	l.add(&backend.Activate{Dst: hidden, X: up, Func: backend.GELUTanh})
	l.residual(x, l.linear(hidden, row))
	return l.ops
}

// llamaLayer is one of Llama, for so many tokens. The matrices of values may have another dtype
// than those of queries and keys.
func llamaLayer(l *layer, tokens int, cache, values backend.DType) []backend.Op {
	const width, heads, kvHeads, size, inner = 256, 4, 2, 64, 512
	const kvWidth = kvHeads * size
	row := cmp.Or(l.row, width)
	x, at, angles := l.f32(1, tokens, row), newTensor(l.t, l.b, backend.I32, 2, tokens), l.f32(32, size)
	kv := l.cache(cache, 2*kvWidth)
	n := l.factor(l.norm(x, true))
	// Matrices lie one below the other, and results side by side.
	var rounded backend.Tensor // one for all products of n
	var product func(dst, w backend.Tensor, from, to int)
	product = func(dst, w backend.Tensor, from, to int) {
		op := &backend.Linear{Dst: dst, X: n, W: w.Slice(-2, from, to)}
		if rounded.Absent() || l.rounded(w, n).Absent() {
			rounded = l.rounded(w, n)
		}
		op.Rounded = rounded
		l.add(op)
	}
	w := newTensor(l.t, l.b, l.w, width+2*kvWidth, row)
	bias := l.f32(width + 2*kvWidth)
	plain := product
	product = func(dst, w backend.Tensor, from, to int) {
		plain(dst, w, from, to)
		if l.biases {
			l.ops[len(l.ops)-1].(*backend.Linear).Bias = bias.Slice(-1, from, to)
		}
	}
	qk, qkv := l.f32(1, tokens, width+kvWidth), l.f32(1, tokens, width+2*kvWidth)
	q, k, v := qkv.Slice(-1, 0, width), qkv.Slice(-1, width, width+kvWidth), qkv.Slice(-1, width+kvWidth, width+2*kvWidth)
	if l.normed { // values lie beside what the norms read
		all := l.f32(1, tokens, width+2*kvWidth)
		qk, v = all.Slice(-1, 0, width+kvWidth), all.Slice(-1, width+kvWidth, width+2*kvWidth)
	}
	product(qk.Slice(-1, 0, width), w, 0, width)
	product(qk.Slice(-1, width, width+kvWidth), w, width, width+kvWidth)
	if values == l.w {
		product(v, w, width+kvWidth, width+2*kvWidth)
	} else {
		product(v, newTensor(l.t, l.b, values, kvWidth, row), 0, kvWidth)
	}
	product = plain
	if l.normed {
		normed := l.f32(1, tokens, width+kvWidth)
		for _, part := range [][2]int{{0, width}, {width, width + kvWidth}} {
			inHeads := func(x backend.Tensor) backend.Tensor {
				x = x.Slice(-1, part[0], part[1])
				x.Shape, x.Strides = [4]int{1, tokens, (part[1] - part[0]) / size, size}, [4]int{x.Strides[1], x.Strides[2], size, 1}
				return x
			}
			l.add(&backend.RMSNorm{Dst: inHeads(normed), X: inHeads(qk), Gamma: l.f32(size), Epsilon: 1e-5})
		}
		qk = normed
	}
	l.add(&backend.Rotary{Dst: q, X: qk.Slice(-1, 0, width), Angles: angles, At: at, Heads: heads})
	l.add(&backend.Rotary{Dst: k, X: qk.Slice(-1, width, width+kvWidth), Angles: angles, At: at, Heads: kvHeads})
	keys, vals := kv.Slice(-1, 0, kvWidth), kv.Slice(-1, kvWidth, 2*kvWidth)
	stores := []backend.Op{&backend.Store{Dst: keys, X: k, At: at}, &backend.Store{Dst: vals, X: v, At: at}}
	if l.normed {
		slices.Reverse(stores)
	}
	for _, op := range stores {
		l.add(op)
	}
	y := l.f32(1, tokens, width)
	l.add(&backend.Attention{Dst: y, Q: q, K: keys, V: vals, At: at, Heads: heads, Scale: 0.25})
	x = l.residual(x, l.linear(y, row))
	n = l.factor(l.norm(x, true))
	w, both, hidden := newTensor(l.t, l.b, l.w, 2*inner, row), l.f32(1, tokens, 2*inner), l.f32(1, tokens, inner)
	gate, up := both.Slice(-1, 0, inner), both.Slice(-1, inner, 2*inner)
	product(gate, w, 0, inner)
	product(up, w, inner, 2*inner)
	l.add(&backend.GatedActivation{Dst: hidden, Gate: gate, Up: up, Func: backend.SiLU})
	l.residual(x, l.linear(hidden, row))
	return l.ops
}

// TestLayerDispatches counts the dispatches of a layer for one token: on GPUs five, for norms,
// rotations and stores are in products, and one more where attention of a long context is in parts.
// On software drivers and for many tokens they are apart; for two to four tokens only norms are in products. x becomes blocks in products too.
func TestLayerDispatches(t *testing.T) {
	shared := openTest(t, lavapipe, gpu)
	dots := openTest(t, lavapipe, func(l *Limits) { gpu(l); l.FastDot = true })
	software := openTest(t, lavapipe, nil)
	rounds := openTest(t, lavapipe, gpu)
	rounds.limits.Matrix = [3]uint32{16, 16, 16} // of which lavapipe has none: only what is not multiplied with them is recorded
	for _, c := range []struct {
		name string
		b    *Backend
		ops  func(l *layer) []backend.Op
		want string
	}{
		{"gpt2", shared, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F32, 0) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, cache of f16", shared, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F16, 0) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, a long context", shared, func(l *layer) []backend.Op { l.context = 600; return gpt2Layer(l, 1, backend.F16, 0) },
			"linear_one attention_one attention_join linear_one linear_one linear_one"},
		{"gpt2, table", shared, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F16, 8) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, three tokens", shared, func(l *layer) []backend.Op { return gpt2Layer(l, 3, backend.F32, 0) },
			"linear_rows store attention_tile linear_rows linear_rows linear_rows"},
		{"gpt2, five tokens", shared, func(l *layer) []backend.Op { return gpt2Layer(l, 5, backend.F32, 0) },
			"layernorm linear_rows store attention_tile linear_rows layernorm linear_rows linear_rows"},
		{"llama", shared, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F16, l.w) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"qwen 2, whose queries, keys and values have biases", shared, func(l *layer) []backend.Op { l.biases = true; return llamaLayer(l, 1, backend.F16, l.w) },
			"linear_one attention_one linear_one linear_one linear_one"},
		{"qwen 3, whose heads are normalised", shared, func(l *layer) []backend.Op { l.normed = true; return llamaLayer(l, 1, backend.F16, l.w) },
			"linear_one rmsnorm rmsnorm rotary store attention_one linear_one linear_one linear_one"},
		{"llama, a long context", shared, func(l *layer) []backend.Op { l.context = 600; return llamaLayer(l, 1, backend.F16, l.w) },
			"linear_one attention_one attention_join linear_one linear_one linear_one"},
		{"llama, values of another dtype", shared, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F16, backend.BF16) },
			"linear_one linear_one attention_one linear_one linear_one linear_one"},
		{"llama, three tokens", shared, func(l *layer) []backend.Op { return llamaLayer(l, 3, backend.F32, l.w) },
			"linear_rows linear_rows rotary store attention_tile linear_rows linear_rows gated_activation linear_rows"},
		{"gpt2, x in blocks", dots, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F16, 0) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, x in blocks, a long context", dots, func(l *layer) []backend.Op { l.context = 600; return gpt2Layer(l, 1, backend.F16, 0) },
			"linear_one attention_one attention_join linear_one linear_one linear_one"},
		{"llama, x in blocks", dots, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F16, l.w) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, x in f16", rounds, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F16, 0) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2, x in f16, three tokens", rounds, func(l *layer) []backend.Op { return gpt2Layer(l, 3, backend.F32, 0) },
			"linear_rows store attention_tile linear_rows linear_rows linear_rows"},
		{"gpt2, x in f16, five tokens", rounds, func(l *layer) []backend.Op { return gpt2Layer(l, 5, backend.F32, 0) },
			"layernorm linear_rows store attention_tile linear_rows layernorm linear_rows linear_rows"},
		{"llama, x in f16", rounds, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F16, l.w) }, "linear_one attention_one linear_one linear_one linear_one"},
		{"llama, x in f16, values of another dtype", rounds, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F16, backend.F32) },
			"linear_one linear_one attention_one linear_one linear_one linear_one"},
		{"gpt2 on a software driver", software, func(l *layer) []backend.Op { return gpt2Layer(l, 1, backend.F32, 0) },
			"layernorm linear_lanes store attention linear_lanes layernorm linear_lanes linear_lanes"},
		{"llama on a software driver", software, func(l *layer) []backend.Op { return llamaLayer(l, 1, backend.F32, l.w) },
			"rmsnorm linear_lanes linear_lanes rotary store attention linear_lanes rmsnorm linear_lanes gated_activation linear_lanes"},
	} {
		types := []backend.DType{backend.F32, backend.F16, backend.Q8_0, backend.Q4_K}
		switch c.b {
		case dots:
			types = blocksOfEights()
		case rounds:
			types = append(everyKernel()[1:], backend.Q4_K)
		case software:
			types = types[:3]
		}
		for _, w := range types {
			if c.b == rounds && backend.Rounding(c.b, w) != backend.F16 {
				t.Fatalf("%v: x is not rounded", w)
			}
			ops := backend.Fuse(c.b, c.ops(&layer{t: t, b: c.b, w: w, blocks: c.b == dots, rounds: c.b == rounds}), func(backend.Tensor) bool { return false })
			if got := dispatched(t, c.b, ops); got != c.want {
				t.Errorf("%s by %v: dispatches of\n%s, expected\n%s", c.name, w, got, c.want)
			}
		}
	}
}

// TestRoundedApart counts the dispatches of products of a few rows that round x: two where x would be rounded for
// very many outputs, and nobody else does it.
func TestRoundedApart(t *testing.T) {
	b := openTest(t, lavapipe, gpu)
	for _, c := range []struct {
		rows, in, out int
		want          string
	}{
		{1, 1024, 8192, "linear_one"}, {8, 1024, 4088, "linear_rows"}, {8, 1024, 4096, "linear_rows round"}, {33, 1024, 1024, "linear"},
	} {
		op := &backend.Linear{
			Dst: newTensor(t, b, backend.F32, c.rows, c.out), X: newTensor(t, b, backend.F32, c.rows, c.in),
			Rounded: newTensor(t, b, backend.F32, c.rows, c.in), W: newTensor(t, b, backend.F16, c.out, c.in),
		}
		took := strings.Fields(dispatched(t, b, []backend.Op{op}))
		slices.Sort(took)
		if got := strings.Join(took, " "); got != c.want {
			t.Errorf("%d rows of %d by %d outputs: dispatches of %s, expected %s", c.rows, c.in, c.out, got, c.want)
		}
	}
}

// dispatched runs ops and returns the kernel of each dispatch.
func dispatched(t *testing.T, b *Backend, ops []backend.Op) string {
	t.Helper()
	spans, err := backend.Profile(b, func(backend.Backend) error { return backend.Run(b, ops...) })
	if err != nil {
		t.Fatal(err)
	}
	var took []string
	for _, s := range spans {
		if len(s.Variants) == 1 {
			took = append(took, slices.Repeat([]string{source(s.Variants[0])}, s.Dispatches)...)
			continue
		}
		if len(s.Variants) != s.Dispatches {
			t.Errorf("%s takes %d dispatches of %v", s.Op, s.Dispatches, s.Variants)
		}
		for _, v := range s.Variants {
			took = append(took, source(v))
		}
	}
	return strings.Join(took, " ")
}

// TestRowsOfOne: the longest rows that linear_one.comp takes, and the dispatches of a layer of longer ones, as docs/design.md has them.
func TestRowsOfOne(t *testing.T) {
	usual := Limits{SubgroupArithmetic: true, SubgroupShuffle: true, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}, Groups: [3]uint32{65535, 65535, 65535}}
	rotated := joined{apart: 64, head: 128, cache: backend.F16} // keys, in pairs of a cache
	for _, c := range []struct {
		w                             backend.DType
		plain, norm, keys, normedKeys int
		few                           [4]int // the same where a lane has few registers
	}{
		{backend.F32, 10240, 6144, 6144, 4096, [4]int{2048, 2048, 2048, 0}},
		{backend.F16, 16384, 8192, 10240, 6144, [4]int{4096, 2048, 2048, 2048}},
		{backend.BF16, 16384, 8192, 10240, 6144, [4]int{4096, 2048, 2048, 2048}},
		{backend.Q8_0, 16384, 8192, 12288, 6144, [4]int{4096, 2048, 4096, 2048}},
		{backend.Q4_0, 16384, 8192, 16384, 8192, [4]int{6144, 2048, 4096, 2048}},
		{backend.Q4_K, 16384, 8192, 8192, 8192, [4]int{4096, 2048, 0, 0}},
		{backend.Q6_K, 16384, 8192, 8192, 8192, [4]int{2048, 0, 0, 0}},
	} {
		normed := rotated
		normed.norm = 2
		for i, j := range []joined{{}, {norm: 2}, rotated, normed} {
			for _, subgroup := range []uint32{16, 32, 64} {
				for _, few := range []bool{false, true} {
					want := [4]int{c.plain, c.norm, c.keys, c.normedKeys}[i]
					if few {
						want = c.few[i]
					}
					l, most := usual, 0
					l.SubgroupSize, l.FewRegisters = subgroup, few
					for in := 512; in <= 1<<16; in += 512 {
						if len(waysOfOne(&l, &product{rows: 1, in: in, out: 4096, x: backend.F32, w: c.w, eights: true, joined: j})) > 0 {
							most = in
						}
					}
					if most != want {
						t.Errorf("%v, %+v, subgroups of %d, few registers %v: up to %d inputs, expected %d", c.w, j, subgroup, few, most, want)
					}
				}
			}
		}
	}

	b := openTest(t, lavapipe, gpu)
	for _, c := range []struct {
		row   int
		w     backend.DType
		llama bool
		want  string
	}{
		{8192, backend.F16, true, "rmsnorm linear_one attention_one linear_one linear_one linear_one"},
		{8192, backend.Q4_0, true, "linear_one attention_one linear_one linear_one linear_one"},
		{12288, backend.F16, false, "layernorm linear_one attention_one linear_one layernorm linear_one linear_one"},
		{12288, backend.F32, false, "layernorm linear_vec store attention_one linear_one layernorm linear_vec linear_one"},
		{12288, backend.F32, true, "rmsnorm linear_vec linear_vec rotary store attention_one linear_one rmsnorm linear_vec gated_activation linear_one"},
	} {
		l := &layer{t: t, b: b, w: c.w, row: c.row}
		if c.llama {
			llamaLayer(l, 1, backend.F16, c.w)
		} else {
			gpt2Layer(l, 1, backend.F16, 0)
		}
		if got := dispatched(t, b, backend.Fuse(b, l.ops, func(backend.Tensor) bool { return false })); got != c.want {
			t.Errorf("rows of %d in %v: dispatches of\n%s, expected\n%s", c.row, c.w, got, c.want)
		}
	}
}

// TestFailedSubgroups has a device whose subgroups fail their test compute joined products as
// simpler ops, though its limits say that it takes them.
func TestFailedSubgroups(t *testing.T) {
	b := openTest(t, lavapipe, gpu)
	test := b.subgroupTest()
	b.checks.verdicts[pipelineKey{test.variant, test.spec}] = &verdict{err: errors.New("they are none")}
	ops := backend.Fuse(b, gpt2Layer(&layer{t: t, b: b, w: backend.F32}, 1, backend.F32, 0), func(backend.Tensor) bool { return false })
	spans, err := backend.Profile(b, func(backend.Backend) error { return backend.Run(b, ops...) })
	if err != nil {
		t.Fatal(err)
	}
	dispatches := 0
	for _, s := range spans {
		dispatches += s.Dispatches
		for _, v := range s.Variants {
			if source(v) == "linear_one" {
				t.Errorf("%s took %s", s.Op, v)
			}
		}
	}
	if len(spans) != 5 || dispatches != 8 {
		t.Errorf("%d ops in %d dispatches, expected 5 and 8", len(spans), dispatches)
	}
}

// TestShapeOne holds the rule by which a product of one row is divided to what it is for, on the
// subgroups of all makers.
func TestShapeOne(t *testing.T) {
	type oneShape struct{ lanes, subgroups, outs uint32 }
	shape := func(l Limits, in, out int, w backend.DType, norm bool) (oneShape, bool) {
		p := product{rows: 1, in: in, out: out, x: backend.F32, w: w, eights: true}
		if norm {
			p.joined.norm = 1
		}
		ways := waysOfOne(&l, &p)
		if len(ways) == 0 {
			return oneShape{}, false
		}
		spec := specOfOne(&l, &p, &ways[0]).(shaders.LinearOneGateSpec)
		return oneShape{spec.Lanes, spec.Subgroups, spec.Outs}, true
	}
	usual := Limits{SubgroupArithmetic: true, SubgroupShuffle: true, Invocations: 1024, WorkgroupSize: [3]uint32{1024, 1024, 64}, Groups: [3]uint32{65535, 65535, 65535}}
	for _, c := range []struct {
		subgroup uint32
		in, out  int
		w        backend.DType
		norm     bool
		want     oneShape // lanes, subgroups, outs
	}{
		{32, 768, 2304, backend.F16, true, oneShape{32, 1, 4}},   // NVIDIA
		{32, 768, 768, backend.F16, false, oneShape{32, 1, 4}},   //
		{32, 3072, 768, backend.F16, false, oneShape{128, 4, 4}}, //
		{32, 1600, 6400, backend.F16, true, oneShape{128, 4, 4}}, //
		{32, 6400, 1600, backend.F16, false, oneShape{256, 8, 4}},
		{32, 768, 50257, backend.F16, true, oneShape{64, 2, 8}},
		{32, 768, 2304, backend.F32, true, oneShape{64, 2, 4}},
		{32, 14336, 4096, backend.F16, false, oneShape{256, 8, 2}},
		{64, 768, 2304, backend.F16, true, oneShape{64, 1, 4}}, // AMD
		{64, 3072, 768, backend.F16, false, oneShape{128, 2, 4}},
		{64, 768, 50257, backend.F16, true, oneShape{64, 1, 8}},
		{16, 768, 2304, backend.Q8_0, true, oneShape{32, 2, 4}}, // Intel
		{64, 768, 2304, backend.Q4_0, true, oneShape{64, 1, 4}},
		{64, 768, 50257, backend.Q8_0, true, oneShape{64, 1, 8}},
		{4, 64, 68, backend.Q8_0, false, oneShape{8, 2, 4}},         // two blocks are shared by eight lanes
		{32, 10240, 8192, backend.Q4_0, false, oneShape{256, 8, 4}}, // eight outputs are small enough, and too many numbers of w
		{128, 768, 2304, backend.F16, true, oneShape{128, 1, 4}},
		{8, 64, 68, backend.F16, false, oneShape{8, 1, 8}},   // lavapipe: 96 bytes for four outputs are few
		{4, 32, 9000, backend.F16, false, oneShape{4, 1, 4}}, // SwiftShader: no more outputs than lanes
	} {
		l := usual
		l.SubgroupSize = c.subgroup
		if got, ok := shape(l, c.in, c.out, c.w, c.norm); !ok || got != c.want {
			t.Errorf("%d inputs, %d outputs by %v, norm %v, subgroups of %d: %+v, %v, expected %+v", c.in, c.out, c.w, c.norm, c.subgroup, got, ok, c.want)
		}
	}
	// Keys that are rotated and stored: in words of two, if a workgroup has neighbours.
	for _, c := range []struct {
		w           backend.DType
		in          int
		apart, head int
		cache       backend.DType
		outs        []uint32
	}{
		{backend.F16, 64, 3, 6, backend.F32, []uint32{2}},
		{backend.F16, 64, 3, 6, backend.F16, nil},
		{backend.F16, 64, 3, 6, backend.None, []uint32{2}},
		{backend.F16, 64, 1, 6, backend.F16, []uint32{2}},
		{backend.F16, 64, 4, 8, backend.BF16, []uint32{4, 8}},
		{backend.F16, 64, 4, 8, backend.F32, []uint32{2, 4, 8}},
		{backend.F16, 64, 64, 128, backend.F16, []uint32{4, 8}},
		{backend.F32, 5120, 4, 8, backend.F16, nil},
		{backend.F32, 5120, 4, 8, backend.F32, []uint32{2}},
		{backend.F16, 8192, 64, 128, backend.BF16, nil},
		{backend.F16, 8192, 64, 128, backend.F32, []uint32{2}},
	} {
		l := usual
		l.SubgroupSize = 32
		p := product{rows: 1, in: c.in, out: 2 * c.head, x: backend.F32, w: c.w, eights: true, joined: joined{norm: 2, apart: c.apart, head: c.head, cache: c.cache}}
		var outs []uint32
		for _, way := range waysOfOne(&l, &p) {
			if !slices.Contains(outs, way.outsEach) {
				outs = append(outs, way.outsEach)
			}
		}
		if slices.Sort(outs); !slices.Equal(outs, c.outs) {
			t.Errorf("%+v: workgroups of %d outputs, expected %d", c, outs, c.outs)
		}
	}
	for name, c := range map[string]struct {
		change  func(l *Limits)
		in, out int
	}{
		"a software driver":          {func(l *Limits) { l.Software = true }, 768, 768},
		"no subgroups":               {func(l *Limits) { l.SubgroupArithmetic = false }, 768, 768},
		"no shuffles":                {func(l *Limits) { l.SubgroupShuffle = false }, 768, 768},
		"subgroups of several sizes": {func(l *Limits) { l.SubgroupVaries = true }, 768, 768},
		"tiny subgroups":             {func(l *Limits) { l.SubgroupSize = 2 }, 768, 768},
		"huge subgroups":             {func(l *Limits) { l.SubgroupSize = 512 }, 768, 768},
		"odd inputs":                 {func(*Limits) {}, 772, 768},
		"a row too long":             {func(*Limits) {}, 1 << 16, 768},
		"small workgroups":           {func(l *Limits) { l.Invocations = 16 }, 768, 768},
		"too many outputs":           {func(l *Limits) { l.Groups[0] = 3 }, 768, 768},
		"long and small":             {func(l *Limits) { l.Invocations = 32 }, 16384, 768},
	} {
		l := usual
		l.SubgroupSize = 32
		c.change(&l)
		if got, ok := shape(l, c.in, c.out, backend.F16, false); ok {
			t.Errorf("%s: %+v, expected none", name, got)
		}
	}
}
