package backend_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
)

func keepNone(backend.Tensor) bool { return false }

// block is what a GPT's block is made of, as nn.Tape writes it.
type block struct {
	up, down, out *backend.Linear
	gelu          *backend.Activate
	attn, sum     *backend.Add
	ops           []backend.Op
}

// newBlock writes the ops of a block onto a stream x, [time, 8].
func newBlock(x backend.Tensor) *block {
	norm := func(x backend.Tensor) *backend.LayerNorm {
		return &backend.LayerNorm{Dst: f32(3, 8), X: x, Gamma: f32(8), Beta: f32(8), Epsilon: 1e-5}
	}
	linear := func(x backend.Tensor, out int) *backend.Linear {
		return &backend.Linear{Dst: f32(3, out), X: x, W: f32(out, x.Dim(-1)), Bias: f32(out)}
	}
	b := &block{}
	cache, at := f32(7, 16), places(3)
	n1 := norm(x)
	qkv := linear(n1.Dst, 24)
	store := &backend.Store{Dst: cache, X: qkv.Dst.Slice(-1, 8, 24), At: at}
	attention := &backend.Attention{
		Dst: f32(3, 8), Q: qkv.Dst.Slice(-1, 0, 8), K: cache.Slice(-1, 0, 8), V: cache.Slice(-1, 8, 16), At: at, Heads: 2, Scale: 0.5,
	}
	b.out = linear(attention.Dst, 8)
	b.attn = &backend.Add{Dst: f32(3, 8), A: x, B: b.out.Dst}
	n2 := norm(b.attn.Dst)
	b.up = linear(n2.Dst, 32)
	b.gelu = &backend.Activate{Dst: f32(3, 32), X: b.up.Dst, Func: backend.GELUTanh}
	b.down = linear(b.gelu.Dst, 8)
	b.sum = &backend.Add{Dst: f32(3, 8), A: b.attn.Dst, B: b.down.Dst}
	b.ops = []backend.Op{n1, qkv, store, attention, b.out, b.attn, n2, b.up, b.gelu, b.down, b.sum}
	return b
}

const fusedBlock = "layernorm linear store attention linear+residual layernorm linear+gelu_tanh linear+residual"

// TestFuseIsInverseOfLower fuses models and lowers them again.
func TestFuseIsInverseOfLower(t *testing.T) {
	var ops []backend.Op
	x := f32(3, 8)
	want := ""
	for range 3 {
		b := newBlock(x)
		x = b.sum.Dst
		ops = append(ops, b.ops...)
		want += fusedBlock + " "
	}
	head := &backend.Linear{Dst: f32(3, 11), X: x, W: f32(11, 8)}
	ops = append(ops, head, &backend.Softmax{Dst: f32(3, 11), X: head.Dst})
	want += "linear softmax"

	fused := backend.Fuse(&fake{}, ops, keepNone)
	if names(fused) != want {
		t.Errorf("fused to %s, expected %s", names(fused), want)
	}
	lowered, err := backend.Prepare(&fake{lacks: []string{"linear+residual", "linear+gelu_tanh"}}, fused...)
	if err != nil {
		t.Fatal(err)
	}
	// A sum has no order: the residual comes first in a lowered one.
	commute := cmp.Transformer("commute", func(a backend.Add) [2]string {
		p, q := fmt.Sprintf("%p%v", a.A.Buf, a.A), fmt.Sprintf("%p%v", a.B.Buf, a.B)
		return [2]string{fmt.Sprintf("%p%v", a.Dst.Buf, a.Dst), min(p, q) + max(p, q)}
	})
	if diff := cmp.Diff(ops, lowered, sameOps, commute); diff != "" {
		t.Error(diff)
	}
}

func TestFuseNot(t *testing.T) {
	window := func(x backend.Tensor) backend.Tensor { return x.Slice(-1, 2, 5) }
	for _, c := range []struct {
		name   string
		lacks  []string
		change func(b *block)
		keep   func(b *block) func(backend.Tensor) bool
		want   string // of the MLP: what follows the second layer norm
	}{
		{name: "all", want: "linear+gelu_tanh linear+residual"},
		{name: "unsupported gelu", lacks: []string{"linear+gelu_tanh"}, want: "linear activate+gelu_tanh linear+residual"},
		{name: "unsupported add", lacks: []string{"linear+residual"}, want: "linear+gelu_tanh linear add"},
		{name: "kept sum", want: "linear activate+gelu_tanh linear+residual", keep: func(b *block) func(backend.Tensor) bool {
			return func(x backend.Tensor) bool { return x.Buf == b.up.Dst.Buf }
		}},
		{name: "kept result", want: "linear+gelu_tanh linear+residual", keep: func(b *block) func(backend.Tensor) bool {
			return func(x backend.Tensor) bool { return x.Buf == b.gelu.Dst.Buf }
		}},
		{name: "read later", want: "linear activate+gelu_tanh linear+residual softmax", change: func(b *block) {
			b.ops = append(b.ops, &backend.Softmax{Dst: f32(3, 32), X: b.up.Dst})
		}},
		{name: "read later through a window", want: "linear+gelu_tanh linear add copy", change: func(b *block) {
			b.ops = append(b.ops, &backend.Copy{Dst: f32(3, 3), X: window(b.down.Dst)})
		}},
		{name: "updated later", want: "linear activate+gelu_tanh linear+residual store", change: func(b *block) {
			b.ops = append(b.ops, &backend.Store{Dst: b.up.Dst, X: f32(1, 32), At: places(1)})
		}},
		{name: "overwritten later", want: "linear+gelu_tanh linear+residual softmax", change: func(b *block) {
			b.ops = append(b.ops, &backend.Softmax{Dst: b.up.Dst, X: f32(3, 32)})
		}},
		{name: "not neighbours", want: "linear softmax activate+gelu_tanh linear+residual", change: func(b *block) {
			b.ops = append(b.ops[:8:8], append([]backend.Op{&backend.Softmax{Dst: f32(3, 32), X: f32(3, 32)}}, b.ops[8:]...)...)
		}},
		{name: "of something else", want: "linear activate+gelu_tanh linear+residual", change: func(b *block) { b.gelu.X = f32(3, 32) }},
		{name: "of a window of it", want: "linear activate+gelu_tanh", change: func(b *block) {
			b.gelu.X, b.gelu.Dst = b.up.Dst.Slice(-1, 0, 8), f32(3, 8)
			b.ops = b.ops[:9]
		}},
		{name: "twice itself", want: "linear+gelu_tanh linear add", change: func(b *block) { b.sum.A = b.sum.B }},
		{name: "onto its own input", want: "linear+gelu_tanh linear add", change: func(b *block) { // fine apart, a hazard as one
			b.sum.Dst = b.gelu.Dst.Slice(-1, 0, 8)
		}},
		{name: "either side", want: "linear+gelu_tanh linear+residual", change: func(b *block) { b.sum.A, b.sum.B = b.sum.B, b.sum.A }},
		{name: "no bias", want: "linear+gelu_tanh linear+residual", change: func(b *block) { b.up.Bias = backend.Tensor{} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBlock(f32(3, 8))
			if c.change != nil {
				c.change(b)
			}
			keep := keepNone
			if c.keep != nil {
				keep = c.keep(b)
			}
			fused := backend.Fuse(&fake{lacks: c.lacks}, b.ops[6:], keep)
			if got, want := names(fused), "layernorm "+c.want; got != want {
				t.Errorf("fused to %s, expected %s", got, want)
			}
			for _, op := range fused {
				if err := backend.Check(op); err != nil {
					t.Errorf("%s: %v", op.Name(), err)
				}
			}
		})
	}
}

// TestFuseBoth gives one product an activation and a residual, in f32 and f16.
func TestFuseBoth(t *testing.T) {
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		product := &backend.Linear{Dst: f32(3, 8), X: tensor(d, 3, 8), W: tensor(d, 8, 8), Bias: f32(8)}
		silu := &backend.Activate{Dst: f32(3, 8), X: product.Dst, Func: backend.SiLU}
		relu := &backend.Activate{Dst: f32(3, 8), X: silu.Dst, Func: backend.ReLU}
		add := &backend.Add{Dst: f32(3, 8), A: f32(3, 8), B: silu.Dst}
		plain := &backend.Add{Dst: f32(3, 8), A: product.Dst, B: f32(3, 8)}
		more := &backend.Add{Dst: f32(3, 8), A: plain.Dst, B: f32(3, 8)}
		behind := &backend.Activate{Dst: f32(3, 8), X: plain.Dst, Func: backend.SiLU}
		for _, c := range []struct {
			want  string
			lacks []string
			keep  backend.Tensor
			ops   []backend.Op
		}{
			{"linear+silu+residual", nil, backend.Tensor{}, []backend.Op{product, silu, add}},
			{"linear+silu add", nil, silu.Dst, []backend.Op{product, silu, add}},
			{"linear activate+silu add", nil, product.Dst, []backend.Op{product, silu, add}},
			{"linear+silu add", []string{"linear+silu+residual"}, backend.Tensor{}, []backend.Op{product, silu, add}},
			{"linear+silu activate+relu", nil, backend.Tensor{}, []backend.Op{product, silu, relu}},
			{"linear+residual add", nil, backend.Tensor{}, []backend.Op{product, plain, more}},
			{"linear+residual activate+silu", nil, backend.Tensor{}, []backend.Op{product, plain, behind}},
		} {
			keep := func(x backend.Tensor) bool { return x == c.keep }
			fused := backend.Fuse(&fake{lacks: c.lacks}, c.ops, keep)
			if got := names(fused); got != c.want {
				t.Errorf("%v: fused to %s, expected %s", d, got, c.want)
			}
			if c.want != "linear+silu+residual" {
				continue
			}
			want := &backend.Linear{Dst: add.Dst, X: product.X, W: product.W, Bias: product.Bias,
				Activation: backend.SiLU, Residual: add.A, Sum: silu.Dst}
			if diff := cmp.Diff([]backend.Op{want}, fused, sameOps); diff != "" {
				t.Error(diff)
			}
		}
	}
}
