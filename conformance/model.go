package conformance

// A small GPT-2, written with ops alone: many ops that depend on one another,
// a cache that grows, positions that change between replays.

import (
	"fmt"
	"math"
	"slices"

	"caldera/backend"
)

var modelChecks = []check{
	{"model/PyTorch", func(e *env) { pytorch(e, false) }},
	{"model/PyTorch,fused", func(e *env) { pytorch(e, true) }},
	{"model/PyTorch,greedy", greedy},
	{"model/decode equals prefill", func(e *env) { decodeEqualsPrefill(e, backend.F32, 1) }},
	{"model/decode equals prefill,w=f16", func(e *env) { decodeEqualsPrefill(e, backend.F16, 1) }},
	{"model/decode equals prefill,w=q8_0,x=q8_a", func(e *env) { decodeEqualsPrefill(e, backend.Q8_0, 1) }},
	{"model/chunks equal prefill", func(e *env) { decodeEqualsPrefill(e, backend.F32, 4) }},
	{"model/chunks equal prefill,w=f16", func(e *env) { decodeEqualsPrefill(e, backend.F16, 4) }},
	{"model/steps of many sequences", func(e *env) { manySequences(e, backend.F32) }},
	{"model/steps of many sequences,w=f16", func(e *env) { manySequences(e, backend.F16) }},
}

type transformer struct {
	layers, heads, width, context, vocab int
	dtype                                backend.DType // of weights and caches; a quantised one is that of matrices of blocks alone
	weights                              map[string]backend.Tensor
}

// newTransformer makes room for the weights, named and shaped as a GPT-2
// checkpoint has them, and fills them: matrices are [in, out].
func newTransformer(m transformer, values func(name string, t backend.Tensor)) *transformer {
	m.weights = map[string]backend.Tensor{}
	plain := m.plain()
	add := func(d backend.DType, name string, dims ...int) {
		t := exact.Tensor(d, dims...)
		values(name, t)
		m.weights[name] = t
	}
	w := m.width
	add(plain, "wte.weight", m.vocab, w)
	add(plain, "wpe.weight", m.context, w)
	norm := func(name string) {
		add(backend.F32, name+".weight", w)
		add(backend.F32, name+".bias", w)
	}
	linear := func(name string, in, out int) {
		if m.dtype.Quantized() { // as it is multiplied, for blocks run along the inputs
			add(m.dtype, name+".weight", out, in)
		} else {
			add(m.dtype, name+".weight", in, out)
		}
		add(backend.F32, name+".bias", out)
	}
	for i := range m.layers {
		h := fmt.Sprintf("h.%d.", i)
		norm(h + "ln_1")
		linear(h+"attn.c_attn", w, 3*w)
		linear(h+"attn.c_proj", w, w)
		norm(h + "ln_2")
		linear(h+"mlp.c_fc", w, 4*w)
		linear(h+"mlp.c_proj", 4*w, w)
	}
	norm("ln_f")
	return &m
}

// plain is the dtype of tables and caches.
func (m *transformer) plain() backend.DType {
	if m.dtype.Quantized() {
		return backend.F32
	}
	return m.dtype
}

// cache is the keys and values of all layers, side by side.
func (m *transformer) cache(batch int) []backend.Tensor {
	var all []backend.Tensor
	for range m.layers {
		t := exact.Tensor(m.plain(), batch, m.context, 2*m.width)
		Set(t, 0)
		all = append(all, t)
	}
	return all
}

// pass is one forward pass: its inputs, its ops and what they compute.
type pass struct {
	ids, at backend.Tensor
	ops     []backend.Op
	hidden  []backend.Tensor // before each block, after the last
	probs   []backend.Tensor
	final   backend.Tensor
	logits  backend.Tensor
	next    backend.Tensor // [batch, time, 1]: the likeliest token
}

// forward is a pass over sequences of time tokens each.
func (m *transformer) forward(cache []backend.Tensor, time int) *pass {
	return m.step(cache, backend.Tensor{}, cache[0].Dim(-3), time, 0)
}

// step is a pass over rows of time tokens, of which the first single ones are of any
// sequence each. Where there is a table, it tells where blocks of the cache are.
func (m *transformer) step(cache []backend.Tensor, table backend.Tensor, batch, time, single int) *pass {
	w := m.width
	f32 := func(width int) backend.Tensor { return exact.Tensor(backend.F32, batch, time, width) }
	p := &pass{ids: exact.Tensor(backend.I32, batch, time), at: exact.places(batch, time)}
	do := func(op backend.Op) { p.ops = append(p.ops, op) }
	norm := func(x backend.Tensor, name string) backend.Tensor {
		y := f32(w)
		do(&backend.LayerNorm{Dst: y, X: x, Gamma: m.weights[name+".weight"], Beta: m.weights[name+".bias"], Epsilon: 1e-5})
		return y
	}
	linear := func(x backend.Tensor, name string, out int) backend.Tensor {
		y, w := f32(out), m.weights[name+".weight"]
		if m.dtype.Quantized() { // and activations are so too
			blocks := exact.Tensor(backend.Q8_A, x.Shape[:]...)
			do(&backend.Copy{Dst: blocks, X: x})
			x = blocks
		} else {
			w = w.Transpose()
		}
		do(&backend.Linear{Dst: y, X: x, W: w, Bias: m.weights[name+".bias"]})
		return y
	}
	add := func(a, b backend.Tensor) backend.Tensor {
		y := f32(w)
		do(&backend.Add{Dst: y, A: a, B: b})
		return y
	}
	x := f32(w)
	do(&backend.Embedding{Dst: x, Tokens: m.weights["wte.weight"], Positions: m.weights["wpe.weight"], IDs: p.ids, At: p.at})
	p.hidden = append(p.hidden, x)
	for i := range m.layers {
		h := fmt.Sprintf("h.%d.", i)
		qkv := linear(norm(x, h+"ln_1"), h+"attn.c_attn", 3*w)
		k, v := cache[i].Slice(-1, 0, w), cache[i].Slice(-1, w, 2*w)
		do(&backend.Store{Dst: k, X: qkv.Slice(-1, w, 2*w), At: p.at, Table: table})
		do(&backend.Store{Dst: v, X: qkv.Slice(-1, 2*w, 3*w), At: p.at, Table: table})
		att, probs := f32(w), exact.Tensor(backend.F32, batch, m.heads, time, m.context)
		for _, r := range [][3]int{{0, single, 1}, {single, time, 0}} { // from, to, run
			if r[0] == r[1] {
				continue
			}
			part := func(x backend.Tensor) backend.Tensor { return x.Slice(-2, r[0], r[1]) }
			do(&backend.Attention{Dst: part(att), Q: part(qkv.Slice(-1, 0, w)), K: k, V: v, At: p.at.Slice(-1, batch*r[0], batch*r[1]), Table: table, Run: r[2],
				Probs: part(probs), Heads: m.heads, Scale: float32(1 / math.Sqrt(float64(w/m.heads)))})
		}
		p.probs = append(p.probs, probs)
		x = add(x, linear(att, h+"attn.c_proj", w))
		up := linear(norm(x, h+"ln_2"), h+"mlp.c_fc", 4*w)
		act := f32(4 * w)
		do(&backend.Activate{Dst: act, X: up, Func: backend.GELUTanh})
		x = add(x, linear(act, h+"mlp.c_proj", w))
		p.hidden = append(p.hidden, x)
	}
	p.final = norm(x, "ln_f")
	p.logits = f32(m.vocab)
	do(&backend.Linear{Dst: p.logits, X: p.final, W: m.weights["wte.weight"]})
	p.next = exact.Tensor(backend.I32, batch, time, 1)
	do(&backend.Argmax{Dst: p.next, X: p.logits})
	return p
}

// keep is what Fuse must leave alone: what the checks look at.
func (p *pass) keep(t backend.Tensor) bool {
	return slices.ContainsFunc(append(p.hidden, p.final, p.logits), func(k backend.Tensor) bool { return k.Buf == t.Buf })
}

// memoryMap is where the blocks of the host lie on the backend.
type memoryMap struct {
	*env
	to map[backend.Buffer]backend.Buffer
}

func (m memoryMap) free() {
	for _, b := range m.to {
		b.Free()
	}
}

// bind copies ops onto the backend's buffers, which it makes and fills where
// they are new.
func (m memoryMap) bind(ops []backend.Op) []backend.Op {
	var bound []backend.Op
	for _, op := range ops {
		for _, o := range operands(op) {
			if m.to[o.Buf] == nil {
				m.to[o.Buf] = m.alloc(o.Buf.Size())
				m.put(o.Tensor)
			}
		}
		bound = append(bound, rebind(op, m.to))
	}
	return bound
}

// put uploads the block that t lies in.
func (m memoryMap) put(t backend.Tensor) { m.write(m.to[t.Buf], 0, t.Buf.(*block).data) }

// get reads a tensor that fills its buffer.
func (m memoryMap) get(t backend.Tensor) []float64 {
	data := m.read(m.to[t.Buf], 0, t.Buf.Size())
	out := make([]float64, t.Len())
	decodeRow(out, t.DType, data, 0, 1)
	return out
}

// near fails the check unless ‖got − want‖ ≤ bound · ‖want‖.
func (e *env) near(what string, got, want []float64, bound float64) {
	difference, norm := 0.0, 0.0
	for i := range want {
		difference += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	if far := math.Sqrt(difference / norm); !(far <= bound) {
		e.Errorf("%s: %s: ‖out−ref‖/‖ref‖ = %.2g > %.2g", e.name, what, far, bound)
	}
}

// tinyGPT2 is the model of PyTorch's figures.
func tinyGPT2() *transformer {
	file := readFigures("model.safetensors")
	return newTransformer(transformer{layers: 3, heads: 4, width: 64, context: 64, vocab: 257, dtype: backend.F32},
		func(name string, t backend.Tensor) { Set(t, file[name]...) })
}

func pytorch(e *env, fused bool) {
	const batch, time = 2, 17
	want := readFigures("expected.safetensors")
	m := tinyGPT2()
	p := m.forward(m.cache(batch), time)
	Set(p.ids, want["input_ids"]...)
	standAt(p.at, time, 0)
	mem := memoryMap{e, map[backend.Buffer]backend.Buffer{}}
	defer mem.free()
	ops := p.ops
	if fused {
		ops = backend.Fuse(e.b, ops, p.keep)
	}
	e.run(mem.bind(ops)...)
	for i, x := range p.hidden {
		e.near(fmt.Sprintf("hidden.%d", i), mem.get(x), want[fmt.Sprintf("hidden.%d", i)], withinModel)
	}
	for i, x := range p.probs {
		rows := mem.get(x) // [batch, head, time, context]
		var square []float64
		for ; len(rows) > 0; rows = rows[m.context:] {
			square = append(square, rows[:time]...)
		}
		e.near(fmt.Sprintf("attn.%d", i), square, want[fmt.Sprintf("attn.%d", i)], withinModel)
	}
	e.near("hidden.final", mem.get(p.final), want["hidden.final"], withinModel)
	e.near("logits", mem.get(p.logits), want["logits"], withinModel)
}

// greedy continues PyTorch's prompt with a program that hands itself the next
// token; the host only moves the position.
func greedy(e *env) {
	want := readFigures("expected.safetensors")["greedy"]
	const prompt = 17
	m := tinyGPT2()
	cache := m.cache(1)
	first, step := m.forward(cache, prompt), m.forward(cache, 1)
	Set(first.ids, want[:prompt]...)
	standAt(first.at, prompt, 0)
	Set(step.ids, 0)
	standAt(step.at, 1, 0)
	mem := memoryMap{e, map[backend.Buffer]backend.Buffer{}}
	defer mem.free()
	id := step.ids.Reshape(1, 1, 1)
	start := mem.bind(append(first.ops, &backend.Copy{Dst: id, X: first.next.Slice(-2, prompt-1, prompt)}))
	program := e.record(mem.bind(append(step.ops, &backend.Copy{Dst: id, X: step.next}))...)
	e.run(start...)
	for at := prompt; at < len(want); at++ {
		if got := mem.get(step.ids)[0]; got != want[at] {
			e.Fatalf("%s: token %d got %v want %v", e.name, at, got, want[at])
		}
		standAt(step.at, 1, float64(at))
		mem.put(step.at)
		e.must(program.Run(), "replay")
	}
	e.must(program.Close(), "Close")
}

// decodeEqualsPrefill computes two texts at once, then again a few tokens at a
// time with one program, the second text two steps behind the first. Each
// token's logits must be the oracle's both times.
func decodeEqualsPrefill(e *env, d backend.DType, chunk int) {
	const batch, time, lag = 2, 16, 2
	r := seed(e.name, 0)
	shape := transformer{layers: 2, heads: 3, width: 33, context: 21, vocab: 101, dtype: d}
	if d.Quantized() {
		shape.heads, shape.width = 2, 64
	}
	m := newTransformer(shape,
		func(name string, t backend.Tensor) {
			if t.Rows() == 1 {
				Normal(t, r, 1, 0.25)
			} else {
				Normal(t, r, 0, 0.25)
			}
		})
	bound := withinModel
	switch {
	case d.Quantized():
		bound = withinModelQ8A
	case d != backend.F32:
		bound = withinModelF16
	}
	cache := m.cache(batch)
	all := m.forward(cache, time)
	Uniform(all.ids, r, 0, m.vocab)
	standAt(all.at, time, 0)
	ids := sheet{}.Load(all.ids).v

	s := sheet{}
	for _, op := range all.ops {
		if err := interpret(s, op); err != nil {
			e.Fatalf("%s: %v", e.name, err)
		}
	}
	want := s.Load(all.logits).v

	mem := memoryMap{e, map[backend.Buffer]backend.Buffer{}}
	defer mem.free()
	ops, err := backend.Prepare(e.b, mem.bind(all.ops)...)
	if err != nil && d != backend.F32 {
		e.skip(d.String())
		return
	}
	e.must(err, "Prepare")
	e.must(e.b.Run(ops...), "Run")
	e.near("prefill's logits", mem.get(all.logits), want, bound)

	step := m.forward(m.cache(batch), chunk)
	program := e.record(backend.Fuse(e.b, mem.bind(step.ops), func(backend.Tensor) bool { return false })...)
	defer program.Close()
	got := make([]float64, len(want))
	for i := range time/chunk + lag {
		var at [batch]float64
		for b := range batch {
			at[b] = float64(min(max(0, i-b*lag), time/chunk-1) * chunk)
			for t := range chunk {
				encode(backend.I32, step.ids.Buf.(*block).data, b*chunk+t, ids[b*time+int(at[b])+t])
			}
		}
		standAt(step.at, chunk, at[:]...)
		mem.put(step.ids)
		mem.put(step.at)
		e.must(program.Run(), fmt.Sprintf("replay %d", i+1))
		logits := mem.get(step.logits)
		for b := range batch {
			n := chunk * m.vocab
			copy(got[(b*time+int(at[b]))*m.vocab:], logits[b*n:(b+1)*n])
		}
	}
	e.near(fmt.Sprintf("logits of %d tokens at a time", chunk), got, want, bound)
}
