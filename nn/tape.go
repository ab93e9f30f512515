// Package nn says models in the words of the field: layers, and a [Tape] on
// which they write the operations that a model consists of.
//
// A tape is written once and recorded into a [Program], which then runs as
// often as is wanted: what changes between runs are the contents of tensors.
package nn

import (
	"fmt"

	"caldera/backend"
)

// Tensor is a window on memory of a backend, or a result that a Tape has yet
// to find memory for.
type Tensor = backend.Tensor

// Linear is a matrix and an optional bias: x · wᵀ + bias.
type Linear struct {
	W    Tensor // [out, in]
	Bias Tensor // [out], or absent
}

// Norm is a layer normalisation with a learned scale and shift.
type Norm struct {
	Gamma, Beta Tensor // [width]
	Epsilon     float32
}

// Tape collects operations. Each method makes the tensor for its result,
// appends an operation that computes it, and returns it, so that a model reads
// like its formula. What does not fit together is reported by Record.
type Tape struct {
	b     backend.Backend
	ops   []backend.Op
	wants func(name string) bool
	named map[string]Tensor

	params   *Parameters // whose gradients are wanted, or nil
	training Training
	segments []int // indices of ops, where Recompute was asked for
	losses   []loss
	dropouts uint32
	err      error // the first, for Record to report
}

// NewTape returns an empty tape for models on b.
func NewTape(b backend.Backend) *Tape {
	return &Tape{b: b, wants: func(string) bool { return false }, named: map[string]Tensor{}}
}

// Watch makes the tape keep the tensors that the model names, where wants says
// so: hidden states, attention maps. They are found by [Program.Named].
func (t *Tape) Watch(wants func(name string) bool) { t.wants = wants }

// Name tells whoever watches what x is.
func (t *Tape) Name(x Tensor, format string, args ...any) {
	if name := fmt.Sprintf(format, args...); t.wants(name) {
		t.named[name] = t.Keep(x)
	}
}

// Keep makes x a result of the program: its contents last until the next run.
func (t *Tape) Keep(x Tensor) Tensor {
	if r, ok := x.Buf.(*room); ok {
		r.kept = true
	}
	return x
}

// Embed looks up a vector for each id and adds that of its position.
// tokens is [vocab, width], positions [context, width], ids [batch, time] and
// at [batch]; the result is [batch, time, width].
func (t *Tape) Embed(tokens, positions, ids, at Tensor) Tensor {
	dst := t.tensor(backend.F32, ids.Dim(-2), ids.Dim(-1), tokens.Dim(-1))
	t.add(&backend.Embedding{Dst: dst, Tokens: tokens, Positions: positions, IDs: ids, At: at})
	return dst
}

// Pick takes rows of x, which is contiguous, [batch, time, width]. ids counts
// them across batches; the result has ids' shape, with width behind.
func (t *Tape) Pick(x, ids Tensor) Tensor {
	dst := t.tensor(backend.F32, ids.Dim(-2), ids.Dim(-1), x.Dim(-1))
	t.add(&backend.Embedding{Dst: dst, Tokens: x.Reshape(x.Rows(), x.Dim(-1)), IDs: ids})
	return dst
}

// LayerNorm normalises each vector of x.
func (t *Tape) LayerNorm(n Norm, x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.LayerNorm{Dst: dst, X: x, Gamma: n.Gamma, Beta: n.Beta, Epsilon: n.Epsilon})
	return dst
}

// Linear maps each vector of x from in to out numbers.
func (t *Tape) Linear(l Linear, x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Dim(0), x.Dim(1), x.Dim(2), l.W.Dim(-2))
	w, x := t.round(l.W, x)
	t.add(&backend.Linear{Dst: dst, X: x, W: w, Bias: l.Bias})
	return dst
}

// Activate applies f to each element.
func (t *Tape) Activate(f backend.Activation, x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.Activate{Dst: dst, X: x, Func: f})
	return dst
}

// Add is a + b, element by element.
func (t *Tape) Add(a, b Tensor) Tensor {
	dst := t.tensor(backend.F32, a.Shape[:]...)
	t.add(&backend.Add{Dst: dst, A: a, B: b})
	return dst
}

// Softmax turns each vector of x into a probability distribution.
func (t *Tape) Softmax(x Tensor) Tensor {
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.Softmax{Dst: dst, X: x})
	return dst
}

// Argmax is the index of the largest element of each vector of x.
func (t *Tape) Argmax(x Tensor) Tensor {
	dst := t.tensor(backend.I32, x.Dim(0), x.Dim(1), x.Dim(2), 1)
	t.add(&backend.Argmax{Dst: dst, X: x})
	return dst
}

// Dropout sets elements of x to 0 at random, and makes up for it in the others,
// on a tape that was told so by Train; on others it is x. Dropouts of a tape
// differ from each other.
func (t *Tape) Dropout(x Tensor) Tensor {
	if t.training.Dropout == 0 {
		return x
	}
	dst := t.tensor(backend.F32, x.Shape[:]...)
	t.add(&backend.Dropout{Dst: dst, X: x, Seed: t.training.Seed, Rate: t.training.Dropout, Stream: t.dropouts})
	t.dropouts++
	return dst
}

// Store writes the vectors of x, [batch, time, width], into cache,
// [batch, context, width], from row at[batch] on, and returns the cache. Where
// it is absent nothing precedes x, which is returned as it is.
func (t *Tape) Store(cache, x, at Tensor) Tensor {
	if cache.Absent() {
		return x
	}
	t.add(&backend.Store{Dst: cache, X: x, At: at})
	return cache
}

// Attention lets each query gather from the keys and values up to its own
// position. q is [batch, time, width], k and v [batch, context, width], at
// [batch]; the result is as q. The map of who looked at whom, [batch, heads,
// time, context], goes by the given name.
func (t *Tape) Attention(heads int, q, k, v, at Tensor, format string, args ...any) Tensor {
	op := &backend.Attention{
		Dst: t.tensor(backend.F32, q.Shape[:]...),
		Q:   q, K: k, V: v, At: at, Heads: heads,
	}
	if name := fmt.Sprintf(format, args...); t.wants(name) {
		op.Probs = t.tensor(backend.F32, q.Dim(-3), heads, q.Dim(-2), k.Dim(-2))
		t.named[name] = t.Keep(op.Probs)
	}
	t.add(op)
	return op.Dst
}

func (t *Tape) add(op backend.Op) { t.ops = append(t.ops, op) }

// tensor is a result for which Record will find memory.
func (t *Tape) tensor(d backend.DType, dims ...int) Tensor {
	x := backend.Of(nil, d, 0, dims...)
	x.Buf = &room{size: x.Size()}
	return x
}

// Record fuses and prepares the operations, plans memory for their results and
// records them. A tape is recorded once.
func (t *Tape) Record() (*Program, error) {
	if t.err != nil {
		return nil, t.err
	}
	ops := backend.Fuse(t.b, t.ops, func(x Tensor) bool {
		r, ok := x.Buf.(*room)
		return !ok || r.kept
	})
	ops, err := backend.Prepare(t.b, ops...)
	if err != nil {
		return nil, err
	}
	p := &Program{named: t.named}
	if size := plan(ops); size > 0 {
		if p.memory, err = t.b.Alloc(size); err != nil {
			return nil, fmt.Errorf("memory for intermediate results: %w", err)
		}
	}
	for _, op := range ops {
		op.Operands(func(_ string, x *Tensor, _ backend.Access) { *x = p.Tensor(*x) })
	}
	if p.Program, err = backend.Record(t.b, ops...); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Program is a recorded tape together with the memory of its results.
type Program struct {
	backend.Program
	memory backend.Buffer
	named  map[string]Tensor
}

// Tensor is where a result that the tape's methods gave, and Keep was told of,
// lies in memory.
func (p *Program) Tensor(x Tensor) Tensor {
	if r, ok := x.Buf.(*room); ok {
		x.Buf = p.memory
		x.Offset += r.at / x.DType.BlockBytes() * x.DType.BlockLen()
	}
	return x
}

// Named are the results that the tape was told to watch, by name.
func (p *Program) Named() map[string]Tensor {
	out := make(map[string]Tensor, len(p.named))
	for name, x := range p.named {
		out[name] = p.Tensor(x)
	}
	return out
}

// Close frees the program and the memory of its results.
func (p *Program) Close() error {
	var err error
	if p.Program != nil {
		err = p.Program.Close()
	}
	if p.memory != nil {
		p.memory.Free()
	}
	return err
}
