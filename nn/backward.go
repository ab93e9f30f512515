package nn

// Backward walks the operations of a tape from last to first and appends those
// that compute gradients: reverse-mode differentiation (Griewank and Walther
// 2008, Evaluating Derivatives, chapter 3). Results that they read live until
// they have run, because planning looks at all operations together.
//
// To teach it an operation: a rule in the table below.

import (
	"fmt"
	"reflect"
	"slices"

	"caldera/backend"
)

// loss is what CrossEntropy leaves for Backward to begin with.
type loss struct {
	losses, x, dx Tensor // dx: the gradient of x
}

// Training says how a tape that trains differs from one that computes.
type Training struct {
	Share     float32 // gradients are scaled by it: one nth where n batches make a step
	Dropout   float32 // the probability with which [Tape.Dropout] drops an element
	Seed      Tensor  // [4] i32, of dropout: two words that differ from run to run, and two that count the steps
	Recompute bool    // keep only what crosses the ends of segments, and compute the rest again for Backward
	LossScale Tensor  // [1] f32: gradients are multiplied by it too; absent: 1
}

// Train makes the tape one that trains p: CrossEntropy computes gradients too,
// and Backward adds to those of p. It comes before the operations.
func (t *Tape) Train(p *Parameters, o Training) { t.params, t.training = p, o }

// CrossEntropy is how much the head's scores for each vector of x, [batch,
// time, width], were surprised by what came: targets, [batch, time], contiguous.
// The result has the shape of targets, in nats. Vectors are scored chunk at a
// time: where gradients are wanted, scores turn into theirs in place and are
// used at once, so that memory for all of them is never needed. Gradients are
// those of the mean over all targets, times the share of the tape's Training.
func (t *Tape) CrossEntropy(head Linear, x, targets Tensor, chunk int) Tensor {
	rows, width := x.Rows(), x.Dim(-1)
	l := loss{losses: t.tensor(backend.F32, targets.Shape[:]...), x: x}
	from, came, losses := x.Reshape(rows, width), targets.Reshape(rows), l.losses.Reshape(rows)
	scale := float32(float64(t.training.Share) / float64(rows))
	if t.params != nil {
		l.dx = t.tensor(backend.F32, x.Shape[:]...)
	}
	for r := 0; r < rows; r += chunk {
		end := min(r+chunk, rows)
		w, part := t.round(head.W, from.Slice(-2, r, end))
		scores := t.scores(Linear{w, head.Bias}, part)
		t.add(&backend.CrossEntropy{
			Loss: losses.Slice(-1, r, end), X: scores, Targets: came.Slice(-1, r, end), LossScale: t.training.LossScale, Scale: scale,
		})
		if t.params != nil {
			t.linearBackward(Linear{w, head.Bias}, l.dx.Reshape(rows, width).Slice(-2, r, end), scores, part)
		}
	}
	t.losses = append(t.losses, l)
	return l.losses
}

// fours is a result whose rows begin at multiples of four numbers, which
// backends read faster: vocabularies have any length.
func (t *Tape) fours(d backend.DType, shape [4]int) Tensor {
	n := shape[3]
	shape[3] = (n + 3) / 4 * 4
	return t.tensor(d, shape[:]...).Slice(-1, 0, n)
}

// scores is Linear with such rows.
func (t *Tape) scores(head Linear, x Tensor) Tensor {
	dst := t.fours(backend.F32, [4]int{x.Dim(0), x.Dim(1), x.Dim(2), head.W.Dim(-2)})
	t.add(&backend.Linear{Dst: dst, X: x, W: head.W, Bias: head.Bias})
	return dst
}

// Backward adds the gradient of the mean of losses, which CrossEntropy gave, to
// those of the parameters. What has no gradient is reported by Record.
func (t *Tape) Backward(losses Tensor) {
	b := backward{Tape: t, grads: map[*room]Tensor{}}
	for _, l := range t.losses {
		if l.losses == losses && !l.dx.Absent() {
			b.pass(l.x, l.dx)
		}
	}
	if len(b.grads) == 0 {
		t.fail(fmt.Errorf("backward: %v is no loss of CrossEntropy on a tape that trains", losses))
	}
	ops, end := t.ops, len(t.ops)
	crossing := map[*room]bool{} // read after end
	for _, from := range slices.Backward(append([]int{0}, t.segments...)) {
		part := ops[from:end]
		if end == len(ops) {
			b.walk(from, part)
		} else {
			b.again(from, part, crossing)
		}
		for _, op := range part {
			reads(op, crossing)
		}
		end = from
	}
}

// walk visits ops, which lie from index from on, from last to first.
func (b *backward) walk(from int, ops []backend.Op) {
	for i, op := range slices.Backward(ops) {
		b.visit(from+i, op)
	}
}

func (t *Tape) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// backward is one walk.
type backward struct {
	*Tape
	grads map[*room]Tensor // contiguous, of all of a result
}

// visit appends what op's rule says, if the loss depends on op's result.
func (b *backward) visit(i int, op backend.Op) {
	op.Operands(func(_ string, dst *Tensor, a backend.Access) {
		r, ok := dst.Buf.(*room)
		dy, wanted := b.grads[r]
		if !ok || !wanted || a != backend.Write {
			return
		}
		rule := rules[reflect.TypeOf(op)]
		if rule == nil {
			b.fail(&backend.OpError{Index: i, Op: op.Name(), Err: fmt.Errorf("there is no rule for its gradient")})
			return
		}
		if err := rule(b, op, dy.Reshape(dst.Shape[:]...)); err != nil {
			b.fail(&backend.OpError{Index: i, Op: op.Name(), Err: err})
		}
	})
}

// pass adds dx to the gradient of x, if x is a result of the tape. Neither is
// written to again: sums are new tensors.
func (b *backward) pass(x, dx Tensor) {
	r, ok := x.Buf.(*room)
	if !ok {
		return
	}
	if x != backend.Of(r, x.DType, 0, x.Shape[:]...) || x.Size() != r.size {
		b.fail(fmt.Errorf("backward: %v is part of a larger result, expected all of it", x))
		return
	}
	if sum, ok := b.grads[r]; ok {
		dx = b.Add(sum, dx.Reshape(sum.Shape[:]...))
	}
	b.grads[r] = dx
}

// like is a new tensor of x's shape.
func (t *Tape) like(x Tensor) Tensor { return t.tensor(backend.F32, x.Shape[:]...) }

// linearBackward sets the gradient of x, and adds to those of l if they are
// wanted. Where the product read f16, so do these.
func (t *Tape) linearBackward(l Linear, dx, dy, x Tensor) {
	if x.DType == backend.F16 {
		half := t.fours(backend.F16, dy.Shape)
		t.add(&backend.Copy{Dst: half, X: dy})
		dy = half
	}
	if dw, ok := t.params.grads[l.W]; ok {
		t.add(&backend.LinearBackward{DW: dw, DBias: t.params.grads[l.Bias], DY: dy, X: x})
	}
	t.add(&backend.Linear{Dst: dx, X: dy, W: l.W.Transpose()})
}

// rules tell, by type of op, how the gradient dy of its result goes on.
var rules = map[reflect.Type]func(b *backward, op backend.Op, dy Tensor) error{}

func rule[O backend.Op](f func(b *backward, o O, dy Tensor) error) {
	rules[reflect.TypeFor[O]()] = func(b *backward, op backend.Op, dy Tensor) error { return f(b, op.(O), dy) }
}

func init() {
	rule(func(b *backward, o *backend.Add, dy Tensor) error {
		b.pass(o.A, dy)
		b.pass(o.B, dy)
		return nil
	})
	rule(func(b *backward, o *backend.Activate, dy Tensor) error {
		dx := b.like(o.X)
		b.add(&backend.ActivateBackward{DX: dx, X: o.X, DY: dy, Func: o.Func})
		b.pass(o.X, dx)
		return nil
	})
	rule(func(b *backward, o *backend.Dropout, dy Tensor) error {
		dx := b.like(o.X)
		b.add(&backend.Dropout{Dst: dx, X: dy, Seed: o.Seed, Rate: o.Rate, Stream: o.Stream})
		b.pass(o.X, dx)
		return nil
	})
	rule(func(b *backward, o *backend.Linear, dy Tensor) error {
		dx := b.like(o.X)
		b.linearBackward(Linear{o.W, o.Bias}, dx, dy, o.X)
		b.pass(o.X, dx)
		return nil
	})
	rule(func(b *backward, o *backend.Copy, dy Tensor) error { // rounding is taken for the identity
		b.pass(o.X, dy)
		return nil
	})
	rule(func(b *backward, o *backend.LayerNorm, dy Tensor) error {
		dx := b.like(o.X)
		b.add(&backend.LayerNormBackward{
			DX: dx, DGamma: b.params.grads[o.Gamma], DBeta: b.params.grads[o.Beta], X: o.X, DY: dy, Gamma: o.Gamma,
			Stats: b.tensor(backend.F32, o.X.Dim(0), o.X.Dim(1), o.X.Dim(2), 2), Epsilon: o.Epsilon,
		})
		b.pass(o.X, dx)
		return nil
	})
	rule(func(b *backward, o *backend.Embedding, dy Tensor) error {
		b.add(&backend.EmbeddingBackward{
			DTokens: b.params.grads[o.Tokens], DPositions: b.params.grads[o.Positions], DY: dy, IDs: o.IDs, At: o.At,
		})
		return nil
	})
	rule(func(b *backward, o *backend.Attention, dy Tensor) error {
		batch, time, width, kv := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1), o.K.Dim(-1)
		qkv := backend.Of(o.Q.Buf, backend.F32, 0, batch, time, width+2*kv)
		if o.Q != qkv.Slice(-1, 0, width) || o.K != qkv.Slice(-1, width, width+kv) || o.V != qkv.Slice(-1, width+kv, width+2*kv) {
			return fmt.Errorf("q, k and v are no neighbours in one result: there is no gradient through a cache")
		}
		dqkv := b.like(qkv)
		b.add(&backend.AttentionBackward{
			DQKV: dqkv, QKV: qkv, DY: dy, Stats: b.tensor(backend.F32, batch, o.Heads, time, 2), Heads: o.Heads,
		})
		b.pass(qkv, dqkv)
		return nil
	})
}
