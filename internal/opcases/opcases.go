// Package opcases lists ops at the shapes that a GPT gives them, to be timed.
// The benchmarks of package conformance and `bench ops` run the same ones.
//
// To add an op: a case in Cases.
package opcases

import (
	"errors"
	"fmt"
	"math"

	"caldera/backend"
)

// Shape is that of a model of any family.
type Shape struct {
	Width, Inner   int // of the vector of a token, and of the MLP's hidden layer
	Heads, KVHeads int // which ask, and which have keys and values
	HeadSize       int
	Vocab, Context int
	Positions      bool // there is a table of them
	Sinks          bool // attention has a score of each head that no key has
	Products       []Product

	Experts, Chosen int // in place of an MLP, and how many of them a token has; 0: none
}

// Product is a matrix, [Out, In], and what follows its product where that is fused:
// an activation, or the residual; or neither. Of experts each has such a matrix.
type Product struct {
	In, Out    int
	Activation backend.Activation
	Residual   bool

	Experts, Chosen int  // how many have it, and how many of them a token has; 0: it is no experts'
	Apart           bool // each of those that a token has reads a vector of its own
	Plain           bool // it is kept in f32 where others are in blocks
}

// GPT2 is the shape of GPT-2 (124M).
var GPT2 = Shape{
	Width: 768, Inner: 3072, Heads: 12, KVHeads: 12, HeadSize: 64, Vocab: 50257, Context: 1024, Positions: true,
	Products: []Product{
		{In: 768, Out: 3 * 768}, {In: 768, Out: 768, Residual: true}, {In: 768, Out: 3072, Activation: backend.GELUTanh}, {In: 3072, Out: 768, Residual: true},
	},
}

// Case is one op to time.
type Case struct {
	Op    string        // its label: see backend.Label
	Shape string        // what tells it from others of its name: "128x768x3072" is rows, in, out
	DType backend.DType // of matrices, tables or caches; f32 where there are none

	build func(*memory) backend.Op
}

// Name is op, shape and dtype in a word.
func (c Case) Name() string { return fmt.Sprintf("%s/%s/%v", c.Op, c.Shape, c.DType) }

// rows are how many vectors ops work on: a token, and part of a prompt.
const rows = 128

// longest is the most positions of a cache: enough to tell how fast it is read.
const longest = 4096

// Cases lists the ops of a GPT of shape s: one token at a time and many at
// once, with matrices of each dtype. Those whose rows are not whole blocks of
// a dtype are left out.
func Cases(s Shape, dtypes []backend.DType) (list []Case) {
	seen := map[string]bool{}
	add := func(op, shape string, d backend.DType, build func(*memory) backend.Op) {
		if c := (Case{op, shape, d, build}); !seen[c.Name()] {
			seen[c.Name()] = true
			list = append(list, c)
		}
	}
	s.Context = min(s.Context, longest)
	many := min(rows, s.Context)
	for _, d := range dtypes {
		for _, n := range []int{1, many} {
			for _, p := range s.Products {
				p.cases(add, n, d)
			}
		}
		Product{In: s.Width, Out: s.Vocab}.cases(add, 1, d) // only the last token's scores are needed
		if s.Width%d.BlockLen() == 0 {
			vocab := min(s.Vocab, 5000)
			add("embedding", fmt.Sprintf("%dx%d", many, s.Width), d, func(m *memory) backend.Op {
				o := &backend.Embedding{Dst: m.tensor(backend.F32, 1, many, s.Width), Tokens: m.tensor(d, vocab, s.Width), IDs: m.ids(vocab, 1, many)}
				if s.Positions {
					positions := backend.F32
					if !d.Quantized() {
						positions = d
					}
					o.Positions, o.At = m.tensor(positions, s.Context, s.Width), m.places(0, many)
				}
				return o
			})
		}
		if d.Quantized() {
			continue // caches and copies are of plain types
		}
		s.caches(add, many, d)
	}
	s.vectors(add, many)
	s.training(add, many)
	return list
}

type adder = func(op, shape string, d backend.DType, build func(*memory) backend.Op)

// cases are the product with n vectors, alone and with what follows.
func (p Product) cases(add adder, n int, d backend.DType) {
	if p.Plain && d.Quantized() {
		d = backend.F32
	}
	if p.In%d.BlockLen() != 0 {
		return
	}
	if p.Experts > 0 {
		p.ofExperts(add, n, d)
		return
	}
	for _, fused := range []bool{false, true} {
		build := func(m *memory) backend.Op {
			o := &backend.Linear{Dst: m.tensor(backend.F32, n, p.Out), X: m.tensor(backend.F32, n, p.In), W: m.tensor(d, p.Out, p.In), Bias: m.tensor(backend.F32, p.Out)}
			if fused {
				o.Activation = p.Activation
				if p.Residual {
					o.Residual = m.tensor(backend.F32, n, p.Out)
				}
				if o.HasEpilogue() {
					o.Sum = m.tensor(backend.F32, n, p.Out)
				}
			}
			return o
		}
		label := "linear"
		if fused {
			label = p.label()
		}
		add(label, fmt.Sprintf("%dx%dx%d", n, p.In, p.Out), d, build)
	}
}

// ofExperts is the product with n vectors, each by the matrices of the experts that it has.
func (p Product) ofExperts(add adder, n int, d backend.DType) {
	each := 1
	if p.Apart {
		each = p.Chosen
	}
	add("expert_linear", fmt.Sprintf("%dx%dx%dx%dof%d", n, p.In, p.Out, p.Chosen, p.Experts), d, func(m *memory) backend.Op {
		return &backend.ExpertLinear{
			Dst: m.tensor(backend.F32, 1, n, p.Chosen, p.Out), X: m.tensor(backend.F32, 1, n, each, p.In), W: m.tensor(d, p.Experts, p.Out, p.In),
			Bias: m.tensor(backend.F32, p.Experts, p.Out), IDs: m.chosen(p.Experts, 1, n, p.Chosen),
		}
	})
}

// label is that of the fused op.
func (p Product) label() string {
	o := backend.Linear{Activation: p.Activation}
	if p.Residual {
		o.Residual = backend.Of(nil, backend.F32, 0, 1)
	}
	return o.Label()
}

// scale is that of attention's scores.
func (s Shape) scale() float32 { return float32(1 / math.Sqrt(float64(s.HeadSize))) }

// heads are the widths of queries, and of keys or values, of all heads.
func (s Shape) heads() (queries, keys int) { return s.Heads * s.HeadSize, s.KVHeads * s.HeadSize }

// caches are the ops on keys and values.
func (s Shape) caches(add adder, many int, d backend.DType) {
	width, kv := s.heads()
	for _, n := range [][2]int{{1, many}, {1, s.Context}, {many, many}, {many, s.Context}} {
		time, context := n[0], n[1]
		add("attention", fmt.Sprintf("%dx%dx%d", time, context, width), d, func(m *memory) backend.Op {
			cache := m.tensor(d, 1, context, 2*kv) // a position's key, then its value
			o := &backend.Attention{
				Dst: m.tensor(backend.F32, 1, time, width), Q: m.tensor(backend.F32, 1, time, width),
				K: cache.Slice(-1, 0, kv), V: cache.Slice(-1, kv, 2*kv), At: m.places(context-time, time), Heads: s.Heads, Scale: s.scale(),
			}
			if s.Sinks {
				o.Sinks = m.tensor(backend.F32, s.Heads)
			}
			return o
		})
	}
	add("store", fmt.Sprintf("%dx%d", many, 2*kv), d, func(m *memory) backend.Op {
		cache := m.tensor(d, 1, s.Context, 2*kv)
		return &backend.Store{Dst: cache.Slice(-1, 0, 2*kv), X: m.tensor(backend.F32, 1, many, 2*kv), At: m.places(0, many)}
	})
	add("copy", fmt.Sprintf("%dx%d", s.Context, s.Width), d, func(m *memory) backend.Op {
		return &backend.Copy{Dst: m.tensor(d, s.Context, s.Width), X: m.tensor(backend.F32, s.Context, s.Width)}
	})
}

// vectors are the ops of f32 alone.
func (s Shape) vectors(add adder, many int) {
	f32 := func(op string, n, width int, build func(m *memory, dst, x backend.Tensor) backend.Op) {
		add(op, fmt.Sprintf("%dx%d", n, width), backend.F32, func(m *memory) backend.Op {
			return build(m, m.tensor(backend.F32, n, width), m.tensor(backend.F32, n, width))
		})
	}
	for _, n := range []int{1, many} {
		f32("layernorm", n, s.Width, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.LayerNorm{Dst: dst, X: x, Gamma: m.tensor(backend.F32, s.Width), Beta: m.tensor(backend.F32, s.Width), Epsilon: 1e-5}
		})
		f32("rmsnorm", n, s.Width, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.RMSNorm{Dst: dst, X: x, Gamma: m.tensor(backend.F32, s.Width), Epsilon: 1e-5}
		})
		heads := s.Heads + s.KVHeads // queries and keys lie side by side
		f32("rotary", n, heads*s.HeadSize, func(m *memory, dst, x backend.Tensor) backend.Op {
			angles := m.tensor(backend.F32, s.Context, s.HeadSize/2*2)
			return &backend.Rotary{Dst: dst, X: x, Angles: angles, At: m.places(s.Context-n, n), Heads: heads}
		})
		s.mlp(add, n)
		f32("add", n, s.Width, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.Add{Dst: dst, A: x, B: m.tensor(backend.F32, n, s.Width)}
		})
		f32("activate+gelu_tanh", n, s.Inner, func(_ *memory, dst, x backend.Tensor) backend.Op {
			return &backend.Activate{Dst: dst, X: x, Func: backend.GELUTanh}
		})
	}
	f32("softmax", 1, s.Vocab, func(_ *memory, dst, x backend.Tensor) backend.Op { return &backend.Softmax{Dst: dst, X: x} })
	add("argmax", fmt.Sprintf("1x%d", s.Vocab), backend.F32, func(m *memory) backend.Op {
		return &backend.Argmax{Dst: m.zeros(backend.I32, 1), X: m.tensor(backend.F32, 1, s.Vocab)}
	})
}

// mlp are the ops of an MLP, or of experts, for n vectors that are no products.
func (s Shape) mlp(add adder, n int) {
	if s.Experts == 0 {
		add("gated_activation", fmt.Sprintf("%dx%d", n, s.Inner), backend.F32, func(m *memory) backend.Op {
			vectors := func() backend.Tensor { return m.tensor(backend.F32, n, s.Inner) }
			return &backend.GatedActivation{Dst: vectors(), Gate: vectors(), Up: vectors(), Func: backend.SiLU}
		})
		return
	}
	chosen := func(m *memory, width int) backend.Tensor { return m.tensor(backend.F32, 1, n, s.Chosen, width) }
	add("route", fmt.Sprintf("%dx%dof%d", n, s.Chosen, s.Experts), backend.F32, func(m *memory) backend.Op {
		return &backend.Route{IDs: m.zeros(backend.I32, 1, n, s.Chosen), Weights: m.tensor(backend.F32, 1, n, s.Chosen), X: m.tensor(backend.F32, 1, n, s.Experts)}
	})
	add("gated_activation", fmt.Sprintf("%dx%d", n*s.Chosen, s.Inner), backend.F32, func(m *memory) backend.Op {
		return &backend.GatedActivation{Dst: chosen(m, s.Inner), Gate: chosen(m, s.Inner), Up: chosen(m, s.Inner), Func: backend.GELUSigmoid, Limit: 7, Shift: 1}
	})
	add("expert_sum", fmt.Sprintf("%dx%dx%d", n, s.Chosen, s.Width), backend.F32, func(m *memory) backend.Op {
		return &backend.ExpertSum{Dst: m.tensor(backend.F32, 1, n, s.Width), X: chosen(m, s.Width), Weights: m.tensor(backend.F32, 1, n, s.Chosen)}
	})
}

// Op is a case's op on memory of a backend.
type Op struct {
	backend.Op
	FLOP, Bytes float64 // its backend.Cost
	memory      memory
}

// Build allocates and fills the case's operands. The op may be one that the
// backend lacks: backend.Record tells.
func (c Case) Build(b backend.Backend) (*Op, error) {
	op := &Op{memory: memory{b: b}}
	op.Op = c.build(&op.memory)
	if op.memory.err != nil {
		op.Free()
		return nil, fmt.Errorf("operands of %s: %w", c.Name(), op.memory.err)
	}
	flops, bytes := backend.Cost(op.Op)
	op.FLOP, op.Bytes = float64(flops), float64(bytes)
	return op, nil
}

// Wait waits until the op has run.
func (o *Op) Wait() error { return o.memory.b.Read(make([]byte, 1), o.memory.buffers[0], 0) }

// Free releases the operands.
func (o *Op) Free() {
	for _, buf := range o.memory.buffers {
		buf.Free()
	}
}

// memory allocates operands and keeps the first error, so that a case reads
// like its op. The destination comes first.
type memory struct {
	b       backend.Backend
	buffers []backend.Buffer
	err     error
}

func (m *memory) zeros(d backend.DType, dims ...int) backend.Tensor {
	if m.err != nil {
		return backend.Tensor{}
	}
	t, err := backend.New(m.b, d, dims...)
	if err != nil {
		m.err = err
		return backend.Tensor{}
	}
	m.buffers = append(m.buffers, t.Buf)
	return t
}

// tensor holds small numbers.
func (m *memory) tensor(d backend.DType, dims ...int) backend.Tensor {
	t := m.zeros(d, dims...)
	if m.err == nil {
		m.err = Fill(m.b, t)
	}
	return t
}

// ids are below vocab, in no order.
func (m *memory) ids(vocab int, dims ...int) backend.Tensor {
	t := m.zeros(backend.I32, dims...)
	values := make([]int32, t.Len())
	for i := range values {
		values[i] = int32(i * 7919 % vocab)
	}
	return m.ints(t, values)
}

// chosen are ids of experts, [batch, time, chosen]: those of a token differ, and together the tokens
// have all experts, as far as they are enough.
func (m *memory) chosen(experts int, dims ...int) backend.Tensor {
	t := m.zeros(backend.I32, dims...)
	values := make([]int32, t.Len())
	for i := range values {
		values[i] = int32(i % experts)
	}
	return m.ints(t, values)
}

// places are those of n tokens of one sequence, from a position on.
func (m *memory) places(from, n int) backend.Tensor {
	values := make([]int32, 2*n)
	for i := range n {
		values[n+i] = int32(from + i)
	}
	return m.ints(m.zeros(backend.I32, 2, n), values)
}

func (m *memory) ints(t backend.Tensor, values []int32) backend.Tensor {
	if m.err == nil {
		m.err = backend.SetI32(m.b, t, values)
	}
	return t
}

// Fill writes small numbers to a contiguous tensor, piece by piece. Memory that
// was never written may all be one page, and denormals take longer than others.
func Fill(b backend.Backend, t backend.Tensor) error {
	if !t.Contiguous() {
		return errors.New("only contiguous tensors are filled")
	}
	flat := t.Reshape(t.Len())
	values := make([]float32, min(t.Len(), 1<<20))
	for i := range values {
		values[i] = float32(i%7-3) / 64
	}
	for from := 0; from < t.Len(); from += len(values) {
		to := min(t.Len(), from+len(values))
		if err := backend.SetF32(b, flat.Slice(-1, from, to), values[:to-from]); err != nil {
			return err
		}
	}
	return nil
}
