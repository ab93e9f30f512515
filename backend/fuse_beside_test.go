package backend_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
)

// besideLlama is newLlama as nn.Tape writes it: matrices lie one below the other, and results
// side by side.
func besideLlama() *llama {
	l := newLlama()
	w, products, results := f32(32, 16), f32(1, 24), f32(1, 32)
	at := 0
	for _, o := range []*backend.Linear{l.q, l.k, l.v} {
		n := o.W.Dim(-2)
		o.W = w.Slice(-2, at, at+n)
		if o.Dst = results.Slice(-1, at, at+n); o != l.v {
			o.Dst = products.Slice(-1, at, at+n)
		}
		at += n
	}
	l.turnedQ.X, l.turnedQ.Dst = l.q.Dst, results.Slice(-1, 0, 16)
	l.turnedK.X, l.turnedK.Dst = l.k.Dst, results.Slice(-1, 16, 24)
	l.storeK.X, l.storeV.X, l.attention.Q = l.turnedK.Dst, l.v.Dst, l.turnedQ.Dst
	w, both := f32(64, 16), f32(1, 64)
	l.gate.W, l.up.W = w.Slice(-2, 0, 32), w.Slice(-2, 32, 64)
	l.gate.Dst, l.up.Dst = both.Slice(-1, 0, 32), both.Slice(-1, 32, 64)
	l.gated.Gate, l.gated.Up = l.gate.Dst, l.up.Dst
	return l
}

func (l *llama) besideOps() []backend.Op {
	return []backend.Op{l.norm, l.q, l.k, l.v, l.turnedQ, l.turnedK, l.storeK, l.storeV, l.attention, l.norm2, l.gate, l.up, l.gated}
}

// TestFuseBeside makes one product of those whose matrices lie one below the other, with all
// that belongs to any of them, and leaves apart what does not fit.
func TestFuseBeside(t *testing.T) {
	const qkv, mlp = "rmsnorm+linear+rotary+store attention ", "rmsnorm+linear+gated_silu"
	for _, c := range []struct {
		name, want string
		lacks      []string
		keep       func(l *llama) backend.Tensor
		change     func(l *llama)
	}{
		{name: "all", want: qkv + mlp},
		{name: "values of another dtype", change: func(l *llama) { l.v.W = tensor(backend.F16, 8, 16) },
			want: "rmsnorm+linear+rotary+store rmsnorm+linear+store attention " + mlp},
		{name: "keys in another order", change: func(l *llama) { l.turnedK.Pairing = backend.Neighbours },
			want: "rmsnorm+linear+rotary rmsnorm+linear+rotary+store attention " + mlp},
		{name: "keys turned back", change: func(l *llama) { l.turnedK.Inverse = true },
			want: "rmsnorm+linear+rotary rmsnorm+linear rmsnorm+linear+store rotary store attention " + mlp},
		{name: "matrices that are apart", change: func(l *llama) { l.k.W, l.up.W = f32(8, 16), f32(32, 16) },
			want: "rmsnorm+linear+rotary rmsnorm+linear+rotary+store rmsnorm+linear+store attention rmsnorm+linear rmsnorm+linear gated_activation"},
		{name: "a bias of some", change: func(l *llama) { l.q.Bias, l.gate.Bias = f32(16), f32(32) },
			want: "rmsnorm+linear+rotary rmsnorm+linear+rotary+store attention rmsnorm+linear rmsnorm+linear gated_activation"},
		{name: "biases that are apart", change: func(l *llama) { l.gate.Bias, l.up.Bias = f32(32), f32(32) },
			want: qkv + "rmsnorm+linear rmsnorm+linear gated_activation"},
		{name: "biases in order", change: func(l *llama) {
			bias := f32(64)
			l.gate.Bias, l.up.Bias = bias.Slice(-1, 0, 32), bias.Slice(-1, 32, 64)
		}, want: qkv + mlp},
		{name: "gate and up the other way round", change: func(l *llama) { l.gated.Gate, l.gated.Up = l.gated.Up, l.gated.Gate },
			want: qkv + "rmsnorm+linear gated_activation"},
		{name: "products of different vectors", change: func(l *llama) { l.up.X = l.x }, want: qkv + "rmsnorm+linear linear gated_activation"},
		{name: "up is kept", keep: func(l *llama) backend.Tensor { return l.up.Dst }, want: qkv + "rmsnorm+linear gated_activation"},
		{name: "no gates", lacks: []string{"linear+gated_silu"}, want: qkv + "rmsnorm+linear gated_activation"},
		{name: "values go elsewhere", change: func(l *llama) { l.storeV.Dst = f32(7, 8) },
			want: "rmsnorm+linear+rotary+store rmsnorm+linear+store attention " + mlp},
	} {
		l := besideLlama()
		if c.change != nil {
			c.change(l)
		}
		keep := func(x backend.Tensor) bool { return c.keep != nil && x.Buf == c.keep(l).Buf }
		if got := names(backend.Fuse(&fake{joins: true, lacks: c.lacks}, l.besideOps(), keep)); got != c.want {
			t.Errorf("%s: fused to\n%s, expected\n%s", c.name, got, c.want)
		}
	}
	l := besideLlama()
	fused := backend.Fuse(&fake{}, l.besideOps(), keepNone)
	if got, want := names(fused), "rmsnorm linear linear rotary store attention rmsnorm linear gated_activation"; got != want {
		t.Errorf("where products are alone: fused to\n%s, expected\n%s", got, want)
	}
	if o := fused[1].(*backend.Linear); o.W.Dim(-2) != 24 || o.Dst.Dim(-1) != 24 {
		t.Errorf("queries and keys are a product of %v, expected 24 outputs", o.W)
	}
}

// TestFuseBesideIsInverseOfLower lowers what TestFuseBeside fuses.
func TestFuseBesideIsInverseOfLower(t *testing.T) {
	l := besideLlama()
	fused := backend.Fuse(&fake{joins: true}, l.besideOps(), keepNone)
	lowered, err := backend.Prepare(&fake{}, fused...)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(lowered), "rmsnorm linear rotary linear store attention rmsnorm linear gated_activation"; got != want {
		t.Errorf("lowered to\n%s, expected\n%s", got, want)
	}
	if diff := cmp.Diff(fused, backend.Fuse(&fake{joins: true}, lowered, keepNone), sameOps); diff != "" {
		t.Errorf("lowered and fused again it is another program (-first +second):\n%s", diff)
	}
}

// TestFuseBesideRows joins products of several rows only if the results' rows have room.
func TestFuseBesideRows(t *testing.T) {
	x, w, both := f32(3, 16), f32(20, 16), f32(3, 20)
	a := &backend.Linear{Dst: both.Slice(-1, 0, 12), X: x, W: w.Slice(-2, 0, 12)}
	c := &backend.Linear{Dst: both.Slice(-1, 12, 20), X: x, W: w.Slice(-2, 12, 20)}
	if got := names(backend.Fuse(&fake{}, []backend.Op{a, c}, keepNone)); got != "linear" {
		t.Errorf("side by side: fused to %s", got)
	}
	first, second := f32(2, 3, 12), *c
	a.Dst, second.Dst = first.Slice(-3, 0, 1), first.Slice(-3, 1, 2).Slice(-1, 0, 8) // one behind the other
	if got := names(backend.Fuse(&fake{}, []backend.Op{a, &second}, keepNone)); got != "linear linear" {
		t.Errorf("one behind the other: fused to %s", got)
	}
	read := &backend.Copy{Dst: f32(3, 20), X: both}
	a.Dst = both.Slice(-1, 0, 12)
	if got := names(backend.Fuse(&fake{}, []backend.Op{a, read, c}, keepNone)); got != "linear copy linear" {
		t.Errorf("with something between that reads the result: fused to %s", got)
	}
}
