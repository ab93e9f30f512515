package nn

import (
	"errors"
	"fmt"
	"math"

	"caldera/backend"
)

// Attention says how the queries of a layer gather from keys and values: see
// [backend.Attention].
type Attention struct {
	Heads   int     // of the queries
	Scale   float32 // of the products of queries and keys; 0: 1/√size of a head
	Window  int     // how many rows a query sees, its own included; 0: all up to its own
	SoftCap float32 // bound of the scores; 0: none
	Sinks   Tensor  // [Heads], learned, or absent: a logit of each head in the softmax's denominator
}

// Attention lets each query gather from the keys and values up to its own
// position. q is [batch, time, heads·size], k and v are caches, which Store returned;
// the result is as q. The map of who looked at whom, [batch, heads, time, context],
// has the name "probs".
func (t *Tape) Attention(a Attention, q, k, v Tensor, at Places) Tensor {
	if a.Scale == 0 {
		a.Scale = float32(1 / math.Sqrt(float64(q.Dim(-1)/max(a.Heads, 1)))) // Record reports a number of heads that is none
	}
	op := &backend.Attention{Dst: t.like(q), Q: q, K: k, V: v, At: at.At, Table: at.Table, Sinks: a.Sinks,
		Heads: a.Heads, Scale: a.Scale, Window: a.Window, SoftCap: a.SoftCap}
	if name := t.name("probs"); t.wants(name) {
		_, context := op.Cache()
		op.Probs = t.tensor(backend.F32, q.Dim(-3), a.Heads, q.Dim(-2), context)
		t.named[name] = t.Keep(op.Probs)
	}
	t.attend(op, at.Single)
	return op.Dst
}

// attend adds op, as one for its first tokens, which are single, and one for the others.
func (t *Tape) attend(op *backend.Attention, single int) {
	time := op.Q.Dim(-2)
	if single > 0 && single < time && op.Q.Dim(-3) > 1 {
		t.fail(fmt.Errorf("%d of %d tokens are single: expected none, all, or one row of tokens instead of %d", single, time, op.Q.Dim(-3)))
	}
	if single >= time {
		op.Run = 1
	}
	if single <= 0 || single >= time {
		t.add(op)
		return
	}
	for _, r := range [][3]int{{0, single, 1}, {single, time, 0}} {
		part := *op
		part.Dst, part.Q = op.Dst.Slice(-2, r[0], r[1]), op.Q.Slice(-2, r[0], r[1])
		part.At = op.At.Slice(-1, r[0], r[1])
		if !op.Probs.Absent() {
			part.Probs = op.Probs.Slice(-2, r[0], r[1])
		}
		part.Run = r[2]
		t.add(&part)
	}
}

func init() {
	rule(func(b *backward, o *backend.Attention, dy Tensor) error {
		for _, x := range []Tensor{o.K, o.V} {
			if _, ok := x.Buf.(*slot); !ok && b.params.grad(x).Absent() || x.Dim(-2) != o.Q.Dim(-2) || x.Dim(-3) != o.Q.Dim(-3) || !o.Table.Absent() {
				return errors.New("keys and values are no results of as many positions as the queries: there is no gradient through a cache")
			}
		}
		if _, run := o.Runs(); run != o.Q.Dim(-2) {
			return errors.New("there is no gradient of tokens that are single")
		}
		b.add(&backend.AttentionBackward{
			DQ: b.dst(o.Q), DK: b.dst(o.K), DV: b.dst(o.V), Q: o.Q, K: o.K, V: o.V, DY: dy, Sinks: o.Sinks, DSinks: b.sum(o.Sinks),
			Stats: b.tensor(backend.F32, o.Q.Dim(-3), o.Heads, o.Q.Dim(-2), 2),
			Heads: o.Heads, Scale: o.Scale, Window: o.Window, SoftCap: o.SoftCap,
		})
		return nil
	})
}
