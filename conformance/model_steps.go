package conformance

import (
	"fmt"
	"slices"

	"caldera/backend"
)

// manySequences computes texts of different lengths with one program, which has at each
// step a token of some of them, a chunk of another and padding, over keys and values in
// blocks. One text begins with the blocks of another. Each token's logits must be the
// oracle's of its text alone.
func manySequences(e *env, d backend.DType) {
	if e.most > 0 && d != backend.F32 {
		e.skip("large")
		return
	}
	const context, size, single, chunk, shared = 24, 4, 4, 6, 12
	lengths := []int{23, 7, 18, 20} // the last one begins as the first does
	r := seed(e.name, 0)
	m := newTransformer(transformer{layers: 2, heads: 2, width: 32, context: context, vocab: 53, dtype: d}, func(_ string, t backend.Tensor) {
		if t.Rows() == 1 {
			Normal(t, r, 1, 0.25)
		} else {
			Normal(t, r, 0, 0.25)
		}
	})
	bound := withinModel
	if d != backend.F32 {
		bound = withinModelF16
	}

	all := m.forward(m.cache(len(lengths)), context)
	Uniform(all.ids, r, 0, m.vocab)
	standAt(all.at, context, 0)
	first := sheet{}.Load(all.ids).v[:shared]
	for i, id := range first {
		encode(backend.I32, all.ids.Buf.(*block).data, 3*context+i, id)
	}
	ids := sheet{}.Load(all.ids).v
	s := sheet{}
	for _, op := range all.ops {
		if err := interpret(s, op); err != nil {
			e.Fatalf("%s: %v", e.name, err)
		}
	}
	want := s.Load(all.logits).v

	free := r.Perm(4 * context / size)
	pool := make([]backend.Tensor, m.layers)
	for i := range pool {
		pool[i] = exact.Tensor(m.plain(), len(free), size, 2*m.width)
		Set(pool[i], nan) // what was there before does not matter
	}
	table := exact.Tensor(backend.I32, len(lengths), context/size)
	numbers := make([]int, table.Len())
	p := m.step(pool, table, 1, single+chunk, single)
	mem := memoryMap{e, map[backend.Buffer]backend.Buffer{}}
	defer mem.free()
	ops, err := backend.Prepare(e.b, mem.bind(p.ops)...)
	if err != nil && d != backend.F32 {
		e.skip(d.String())
		return
	}
	e.must(err, "Prepare")
	program := e.record(ops...)
	defer program.Close()

	fed := make([]int, len(lengths))
	ready := func(i int) bool { return fed[i] < lengths[i] && (i != 3 || fed[0] >= shared) }
	for step := 1; slices.ContainsFunc([]int{0, 1, 2, 3}, ready); step++ {
		var tokens [single + chunk]place // of padding
		for i := range tokens {
			tokens[i] = place{padding, r.IntN(context)}
		}
		feed := func(slot, i int) {
			if i == 3 && fed[i] == 0 { // a fork
				fed[i] = shared
				copy(numbers[3*context/size:], numbers[:shared/size])
			}
			if fed[i]%size == 0 {
				numbers[i*context/size+fed[i]/size], free = free[0], free[1:]
			}
			tokens[slot] = place{i, fed[i]}
			fed[i]++
		}
		long := r.IntN(len(lengths)) // the one with a chunk
		for n := range r.IntN(chunk + 1) {
			if ready(long) {
				feed(single+n, long)
			}
		}
		for slot, i := range r.Perm(len(lengths))[:single] {
			if i != long && ready(i) && r.IntN(4) > 0 {
				feed(slot, i)
			}
		}
		fill(p.ids, func(i int) float64 { return ids[max(tokens[i].seq, 0)*context+tokens[i].pos] })
		fill(p.at.Slice(-2, 0, 1), func(i int) float64 { return float64(tokens[i].seq) })
		fill(p.at.Slice(-2, 1, 2), func(i int) float64 { return float64(tokens[i].pos) })
		fill(table, func(i int) float64 { return float64(numbers[i]) })
		for _, t := range []backend.Tensor{p.ids, p.at, table} {
			mem.put(t)
		}
		e.must(program.Run(), fmt.Sprintf("step %d", step))
		got := mem.get(p.logits)
		for slot, at := range tokens {
			if !at.isPadding() {
				from := (at.seq*context + at.pos) * m.vocab
				e.near(fmt.Sprintf("step %d: token %d of text %d", step, at.pos, at.seq), got[slot*m.vocab:(slot+1)*m.vocab], want[from:from+m.vocab], bound)
			}
		}
	}
}
