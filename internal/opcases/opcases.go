// Package opcases lists ops at the shapes that a GPT gives them, to be timed.
// The benchmarks of package conformance and `bench ops` run the same ones.
//
// To add an op: a case in Cases.
package opcases

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"caldera/backend"
)

// Shape is that of a GPT: the fields of gpt.Config of these names.
type Shape struct{ Width, Inner, Heads, KVHeads, HeadSize, Vocab, Context int }

// GPT2 is the shape of GPT-2 (124M).
var GPT2 = Shape{Width: 768, Inner: 3072, Heads: 12, KVHeads: 12, HeadSize: 64, Vocab: 50257, Context: 1024}

// queries and keys are the lengths of a vector of all heads that ask, and of all
// that are asked.
func (s Shape) queries() int { return s.Heads * s.HeadSize }
func (s Shape) keys() int    { return s.KVHeads * s.HeadSize }

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

// longest is the most positions of a cache: what a model of 131,072 can see takes
// gigabytes, and no other kernel.
const longest = 4096

// Cases lists the ops of a GPT of shape s: one token at a time and many at
// once, with matrices of each dtype, in a context of 4096 tokens or less. Those
// whose rows are not whole blocks of a dtype are left out.
func Cases(s Shape, dtypes []backend.DType) (list []Case) {
	add := func(op, shape string, d backend.DType, build func(*memory) backend.Op) {
		list = append(list, Case{op, shape, d, build})
	}
	s.Context = min(s.Context, longest)
	many := min(rows, s.Context)
	for _, d := range dtypes {
		whole := func(n int) bool { return n%d.BlockLen() == 0 }
		for _, n := range slices.Compact([]int{1, many}) {
			if whole(s.Width) {
				s.matrices(add, n, d)
			}
			if whole(s.Inner) {
				linear(add, n, s.Inner, s.Width, d, "linear", "linear+residual")
			}
		}
		if whole(s.Width) {
			vocab := min(s.Vocab, 5000)
			add("embedding", fmt.Sprintf("%dx%d", many, s.Width), d, func(m *memory) backend.Op {
				positions := backend.F32
				if !d.Quantized() {
					positions = d
				}
				return &backend.Embedding{
					Dst: m.tensor(backend.F32, 1, many, s.Width), Tokens: m.tensor(d, vocab, s.Width),
					Positions: m.tensor(positions, s.Context, s.Width), IDs: m.ids(vocab, 1, many), At: m.at(0),
				}
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

// matrices are the products with vectors of the model's width.
func (s Shape) matrices(add adder, n int, d backend.DType) {
	linear(add, n, s.Width, s.queries()+2*s.keys(), d, "linear")
	if s.queries()%d.BlockLen() == 0 {
		linear(add, n, s.queries(), s.Width, d, "linear", "linear+residual")
	}
	linear(add, n, s.Width, s.Inner, d, "linear", "linear+gelu_tanh")
	if n == 1 { // only the last token's scores are needed
		linear(add, n, s.Width, s.Vocab, d, "linear")
	}
}

func linear(add adder, n, in, out int, d backend.DType, ops ...string) {
	for _, op := range ops {
		add(op, fmt.Sprintf("%dx%dx%d", n, in, out), d, func(m *memory) backend.Op {
			dst, x := m.tensor(backend.F32, n, out), m.tensor(backend.F32, n, in)
			w, bias := m.tensor(d, out, in), m.tensor(backend.F32, out)
			o := &backend.Linear{Dst: dst, X: x, W: w, Bias: bias}
			switch op {
			case "linear+gelu_tanh":
				o.Activation, o.Sum = backend.GELUTanh, m.tensor(backend.F32, n, out)
			case "linear+residual":
				o.Residual, o.Sum = m.tensor(backend.F32, n, out), m.tensor(backend.F32, n, out)
			}
			return o
		})
	}
}

// scale is that of attention's scores.
func (s Shape) scale() float32 { return float32(1 / math.Sqrt(float64(s.HeadSize))) }

// attends is the shape of attention in a name: the length of queries, and that of
// keys where it differs.
func (s Shape) attends() string {
	if s.KVHeads == s.Heads {
		return fmt.Sprint(s.queries())
	}
	return fmt.Sprintf("%d/%d", s.queries(), s.keys())
}

// caches are the ops on keys and values.
func (s Shape) caches(add adder, many int, d backend.DType) {
	var seen [][2]int
	for _, n := range [][2]int{{1, many}, {1, s.Context}, {many, many}, {many, s.Context}} {
		if slices.Contains(seen, n) {
			continue
		}
		seen = append(seen, n)
		time, context := n[0], n[1]
		add("attention", fmt.Sprintf("%dx%dx%s", time, context, s.attends()), d, func(m *memory) backend.Op {
			n, cache := s.keys(), m.tensor(d, 1, context, 2*s.keys()) // a position's key, then its value
			return &backend.Attention{
				Dst: m.tensor(backend.F32, 1, time, s.queries()), Q: m.tensor(backend.F32, 1, time, s.queries()),
				K: cache.Slice(-1, 0, n), V: cache.Slice(-1, n, 2*n), At: m.at(context - time), Heads: s.Heads, Scale: s.scale(),
			}
		})
	}
	add("store", fmt.Sprintf("%dx%d", many, 2*s.keys()), d, func(m *memory) backend.Op {
		return &backend.Store{Dst: m.tensor(d, 1, s.Context, 2*s.keys()), X: m.tensor(backend.F32, 1, many, 2*s.keys()), At: m.at(0)}
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
	for _, n := range slices.Compact([]int{1, many}) {
		f32("layernorm", n, s.Width, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.LayerNorm{Dst: dst, X: x, Gamma: m.tensor(backend.F32, s.Width), Beta: m.tensor(backend.F32, s.Width), Epsilon: 1e-5}
		})
		f32("rmsnorm", n, s.Width, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.RMSNorm{Dst: dst, X: x, Gamma: m.tensor(backend.F32, s.Width), Epsilon: 1e-5}
		})
		f32("rotary", n, s.queries(), func(m *memory, dst, x backend.Tensor) backend.Op {
			angles := m.tensor(backend.F32, s.Context, s.HeadSize/2*2)
			return &backend.Rotary{Dst: dst, X: x, Angles: angles, At: m.at(s.Context - n), Heads: s.Heads}
		})
		f32("gated_activation", n, s.Inner, func(m *memory, dst, x backend.Tensor) backend.Op {
			return &backend.GatedActivation{Dst: dst, Gate: x, Up: m.tensor(backend.F32, n, s.Inner), Func: backend.SiLU}
		})
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

// at is the position of one sequence.
func (m *memory) at(position int) backend.Tensor {
	return m.ints(m.zeros(backend.I32, 1), []int32{int32(position)})
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
