package backend_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
)

// llama is what Llama's block is made of up to attention, and its MLP, as nn.Tape writes it
// for one token.
type llama struct {
	norm, norm2         *backend.RMSNorm
	q, k, v, gate, up   *backend.Linear
	turnedQ, turnedK    *backend.Rotary
	storeK, storeV      *backend.Store
	attention           *backend.Attention
	gated               *backend.GatedActivation
	cache, x, at, other backend.Tensor
}

func newLlama() *llama {
	l := &llama{cache: f32(7, 16), x: f32(1, 16), at: places(1), other: f32(1, 16)}
	angles := f32(7, 4)
	linear := func(x backend.Tensor, out int) *backend.Linear {
		return &backend.Linear{Dst: f32(1, out), X: x, W: f32(out, x.Dim(-1))}
	}
	l.norm = &backend.RMSNorm{Dst: f32(1, 16), X: l.x, Gamma: f32(16), Epsilon: 1e-5}
	l.q, l.k, l.v = linear(l.norm.Dst, 16), linear(l.norm.Dst, 8), linear(l.norm.Dst, 8)
	l.turnedQ = &backend.Rotary{Dst: f32(1, 16), X: l.q.Dst, Angles: angles, At: l.at, Heads: 4}
	l.turnedK = &backend.Rotary{Dst: f32(1, 8), X: l.k.Dst, Angles: angles, At: l.at, Heads: 2}
	l.storeK = &backend.Store{Dst: l.cache.Slice(-1, 0, 8), X: l.turnedK.Dst, At: l.at}
	l.storeV = &backend.Store{Dst: l.cache.Slice(-1, 8, 16), X: l.v.Dst, At: l.at}
	l.attention = &backend.Attention{Dst: f32(1, 16), Q: l.turnedQ.Dst, K: l.storeK.Dst, V: l.storeV.Dst, At: l.at, Heads: 4, Scale: 0.5}
	l.norm2 = &backend.RMSNorm{Dst: f32(1, 16), X: l.attention.Dst, Gamma: f32(16), Epsilon: 1e-5}
	l.gate, l.up = linear(l.norm2.Dst, 32), linear(l.norm2.Dst, 32)
	l.gated = &backend.GatedActivation{Dst: f32(1, 32), Gate: l.gate.Dst, Up: l.up.Dst, Func: backend.SiLU}
	return l
}

func (l *llama) ops() []backend.Op {
	return []backend.Op{l.norm, l.q, l.turnedQ, l.k, l.turnedK, l.v, l.storeK, l.storeV, l.attention, l.norm2, l.gate, l.up, l.gated}
}

// TestFuseJoined joins products with what reads and writes beside them: a norm with several
// readers, rotations, and stores that stand further down.
func TestFuseJoined(t *testing.T) {
	const whole = "rmsnorm+linear+rotary rmsnorm+linear+rotary+store rmsnorm+linear+store attention rmsnorm+linear rmsnorm+linear gated_activation"
	none := func(l *llama) []backend.Op { return l.ops() }
	for _, c := range []struct {
		name, want string
		lacks      []string
		keep       func(l *llama) backend.Tensor
		ops        func(l *llama) []backend.Op
	}{
		{name: "all", want: whole, ops: none},
		{name: "one reader is not supported", lacks: []string{"rmsnorm+linear+store"}, ops: none,
			want: "rmsnorm linear+rotary linear+rotary+store linear+store attention rmsnorm+linear rmsnorm+linear gated_activation"},
		{name: "a norm is kept", ops: none, keep: func(l *llama) backend.Tensor { return l.norm2.Dst },
			want: "rmsnorm+linear+rotary rmsnorm+linear+rotary+store rmsnorm+linear+store attention rmsnorm linear linear gated_activation"},
		{name: "what is stored is kept", want: whole, ops: none, keep: func(l *llama) backend.Tensor { return l.v.Dst }},
		{name: "what is rotated is kept", ops: none, keep: func(l *llama) backend.Tensor { return l.q.Dst },
			want: "rmsnorm+linear rotary rmsnorm+linear+rotary+store rmsnorm+linear+store attention rmsnorm+linear rmsnorm+linear gated_activation"},
		{name: "another op reads a norm", ops: func(l *llama) []backend.Op {
			return append(l.ops(), &backend.Copy{Dst: l.other, X: l.norm2.Dst})
		}, want: "rmsnorm+linear+rotary rmsnorm+linear+rotary+store rmsnorm+linear+store attention rmsnorm linear linear gated_activation copy"},
		{name: "what is normalised changes between its readers", ops: func(l *llama) []backend.Op {
			l.gate.X = l.norm.Dst
			return []backend.Op{l.norm, l.q, l.turnedQ, &backend.Copy{Dst: l.x, X: l.other}, l.gate}
		}, want: "rmsnorm linear+rotary copy linear"},
		{name: "the cache is read before the store", ops: func(l *llama) []backend.Op {
			return []backend.Op{l.v, &backend.Copy{Dst: f32(7, 16), X: l.cache}, l.storeV}
		}, want: "linear copy store"},
		{name: "something else is read before the store", ops: func(l *llama) []backend.Op {
			return []backend.Op{l.v, &backend.Copy{Dst: l.other, X: l.x}, l.storeV}
		}, want: "linear+store copy"},
		{name: "a rotation back", ops: func(l *llama) []backend.Op {
			l.turnedQ.Inverse = true
			return []backend.Op{l.q, l.turnedQ}
		}, want: "linear rotary"},
	} {
		l := newLlama()
		ops := c.ops(l)
		keep := func(x backend.Tensor) bool { return c.keep != nil && x.Buf == c.keep(l).Buf }
		fused := backend.Fuse(&fake{joins: true, lacks: c.lacks}, ops, keep)
		if got := names(fused); got != c.want {
			t.Errorf("%s: fused to\n%s, expected\n%s", c.name, got, c.want)
		}
		if got := names(backend.Fuse(&fake{}, ops, keep)); c.name == "all" && got != names(ops) {
			t.Errorf("where none of it is supported: fused to %s", got)
		}
	}
}

// TestFuseJoinedIsInverseOfLower lowers what TestFuseJoined fuses. Stores come where they
// can, before others.
func TestFuseJoinedIsInverseOfLower(t *testing.T) {
	l := newLlama()
	lowered, err := backend.Prepare(&fake{}, backend.Fuse(&fake{joins: true}, l.ops(), keepNone)...)
	if err != nil {
		t.Fatal(err)
	}
	want := []backend.Op{l.norm, l.q, l.turnedQ, l.norm, l.k, l.turnedK, l.storeK, l.norm, l.v, l.storeV, l.attention, l.norm2, l.gate, l.norm2, l.up, l.gated}
	if diff := cmp.Diff(want, lowered, sameOps); diff != "" {
		t.Error(diff)
	}
}

// TestFuseNormsAgain holds the rule for how often a norm is computed again to what it counts.
func TestFuseNormsAgain(t *testing.T) {
	for _, c := range []struct {
		width, readers int
		want           bool
	}{{4096, 3, true}, {4096, 30, true}, {4096, 80, false}, {16384, 3, true}, {16384, 20, false}} {
		norm := &backend.LayerNorm{Dst: f32(1, c.width), X: f32(1, c.width), Gamma: f32(c.width), Beta: f32(c.width), Epsilon: 1e-5}
		ops := []backend.Op{norm}
		for range c.readers {
			ops = append(ops, &backend.Linear{Dst: f32(1, 8), X: norm.Dst, W: f32(8, c.width)})
		}
		if _, apart := backend.Fuse(&fake{joins: true}, ops, keepNone)[0].(*backend.LayerNorm); apart == c.want {
			t.Errorf("%d readers of a norm of %d: computed again is %v", c.readers, c.width, !apart)
		}
	}
}
