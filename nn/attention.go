package nn

import (
	"fmt"

	"caldera/backend"
)

// Attention lets each query gather from the keys and values up to its own
// position. q is [batch, time, width], k and v [batch, context, width], at
// [batch]; the result is as q. The map of who looked at whom, [batch, heads,
// time, context], goes by the given name.
func (t *Tape) Attention(heads int, q, k, v, at Tensor, format string, args ...any) Tensor {
	op := &backend.Attention{Dst: t.like(q), Q: q, K: k, V: v, At: at, Heads: heads}
	if name := fmt.Sprintf(format, args...); t.wants(name) {
		op.Probs = t.tensor(backend.F32, q.Dim(-3), heads, q.Dim(-2), k.Dim(-2))
		t.named[name] = t.Keep(op.Probs)
	}
	t.add(op)
	return op.Dst
}

func init() {
	rule(func(b *backward, o *backend.Attention, dy Tensor) error {
		batch, time, width, kv := o.Q.Dim(-3), o.Q.Dim(-2), o.Q.Dim(-1), o.K.Dim(-1)
		qkv := backend.Of(o.Q.Buf, backend.F32, 0, batch, time, width+2*kv)
		if o.Q != qkv.Slice(-1, 0, width) || o.K != qkv.Slice(-1, width, width+kv) || o.V != qkv.Slice(-1, width+kv, width+2*kv) {
			return fmt.Errorf("q, k and v are no neighbours in one result: there is no gradient through a cache")
		}
		b.add(&backend.AttentionBackward{
			DQKV: b.dst(qkv), QKV: qkv, DY: dy, Stats: b.tensor(backend.F32, batch, o.Heads, time, 2), Heads: o.Heads,
		})
		return nil
	})
}
