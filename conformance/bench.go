package conformance

import (
	"testing"

	"caldera/backend"
)

// Bench measures ops at the shapes of GPT-2 (124M): one token at a time and
// 128 at once. GB/s counts each operand once, GFLOP/s the multiplications and
// additions of matrix products. The time is that of a recorded program.
func Bench(b *testing.B, open func(testing.TB) backend.Backend) {
	be := open(b)
	defer be.Close()
	for _, d := range []backend.DType{backend.F32, backend.F16, backend.Q8_0, backend.Q4_0} {
		for _, rows := range []int{1, 128} {
			for _, n := range [][2]int{{768, 2304}, {768, 3072}, {3072, 768}, {768, 50257}} {
				if rows > 1 && n[1] == 50257 { // only the last token's logits are needed
					continue
				}
				s := linearShape{rows: []int{rows}, in: n[0], out: n[1], w: d}
				flops := 2 * rows * s.in * s.out
				measure(b, be, s.linear(), flops)
				if n[1] == 3072 {
					measure(b, be, s.linearGELU(), flops)
				}
				if n[1] == 768 {
					measure(b, be, s.linearAdd(), flops)
				}
			}
		}
		if d.Quantized() { // a type of weights alone
			continue
		}
		for _, n := range [][2]int{{1, 128}, {1, 1024}, {128, 128}, {128, 1024}} { // time, context
			s := attentionShape{batch: 1, time: n[0], context: n[1], heads: 12, groups: 12, size: 64, kv: d,
				from: n[1] - n[0], to: n[1] - n[0] + 1, fused: true}
			seen := n[0] * (n[1] - n[0]/2) // pairs of a query and a row that it looks at
			measure(b, be, s.attention(), 4*seen*768)
		}
		measure(b, be, storeShape{batch: 1, time: 128, context: 1024, width: 768, dst: d, half: true}.store(), 0)
		measure(b, be, embeddingShape{batch: 1, time: 128, vocab: 5000, context: 1024, width: 768, tokens: d, positions: d}.embedding(), 0)
		measure(b, be, copyShape{dims: []int{1024, 768}, dst: d, x: backend.F32}.copy(), 0)
	}
	for _, rows := range []int{1, 128} {
		s := rowShape{dims: []int{rows, 768}}
		measure(b, be, layerNormCase(s), 0)
		measure(b, be, addCase(s), 0)
		measure(b, be, geluCase(rowShape{dims: []int{rows, 3072}}), 0)
	}
	measure(b, be, softmaxCase(rowShape{dims: []int{1, 50257}}), 0)
	measure(b, be, argmaxCase(rowShape{dims: []int{1, 50257}}), 0)
}

// measure times a case. Ops that read or write a part of a table or cache are
// counted by the part.
func measure(b *testing.B, be backend.Backend, c Case, flops int) {
	b.Run(c.Name, func(b *testing.B) {
		op, fill := c.Build()
		x := &trial{env: &env{reporter: b, name: c.Name, b: be, tally: &tally{}}, op: op, list: operands(op), fill: fill}
		mem := memoryMap{x.env, map[backend.Buffer]backend.Buffer{}}
		defer mem.free()
		for _, o := range x.list {
			x.blocks = append(x.blocks, o.block())
		}
		x.data(0)
		program, err := backend.Record(be, mem.bind([]backend.Op{op})...)
		if err != nil {
			b.Skip(err)
		}
		defer program.Close()
		wait := make([]byte, 1)
		last := mem.to[x.list[0].Buf]
		sync := func() { x.must(be.Read(wait, last, 0), "Read") }
		x.must(program.Run(), "Run") // compiles shaders
		sync()
		for i := 0; b.Loop(); i++ {
			x.must(program.Run(), "Run")
			if i%16 == 15 { // so that the queue stays short
				sync()
			}
		}
		sync()
		seconds := b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric(float64(traffic(op, x.list))/seconds/1e9, "GB/s")
		if flops > 0 {
			b.ReportMetric(float64(flops)/seconds/1e9, "GFLOP/s")
		}
	})
}

// traffic is the number of bytes that an op must move.
func traffic(op backend.Op, list []operand) int {
	n := 0
	for _, o := range list {
		switch size := o.Size(); {
		case o.access == backend.Scratch:
		case op.Name() == "embedding" && (o.name == "tokens" || o.name == "positions"):
			n += o.DType.Bytes(op.(*backend.Embedding).Dst.Len())
		case op.Name() == "store" && o.name == "dst":
			n += o.DType.Bytes(op.(*backend.Store).X.Len())
		default:
			n += size
		}
	}
	return n
}
