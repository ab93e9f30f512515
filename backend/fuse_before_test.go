package backend_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"caldera/backend"
)

// inBlocks is a norm, its result in blocks of activations, and products that read these.
type inBlocks struct {
	norm     *backend.LayerNorm
	copy     *backend.Copy
	products []*backend.Linear
}

func newInBlocks(readers int) *inBlocks {
	b := &inBlocks{}
	b.norm = &backend.LayerNorm{Dst: f32(1, 64), X: f32(1, 64), Gamma: f32(64), Beta: f32(64), Epsilon: 1e-5}
	b.copy = &backend.Copy{Dst: tensor(backend.Q8_A, 1, 64), X: b.norm.Dst}
	for range readers {
		b.products = append(b.products, &backend.Linear{Dst: f32(1, 8), X: b.copy.Dst, W: tensor(backend.Q8_0, 8, 64)})
	}
	return b
}

func (b *inBlocks) ops() []backend.Op {
	ops := []backend.Op{b.norm, b.copy}
	for _, l := range b.products {
		ops = append(ops, l)
	}
	return ops
}

// TestFuseInBlocks has products convert what they multiply to blocks, behind a norm or without.
func TestFuseInBlocks(t *testing.T) {
	for _, c := range []struct {
		name, want string
		lacks      []string
		keep       func(b *inBlocks) backend.Tensor
		ops        func(b *inBlocks) []backend.Op
	}{
		{name: "a norm", want: "layernorm+copy+linear layernorm+copy+linear", ops: (*inBlocks).ops},
		{name: "no norm", want: "copy+linear copy+linear", ops: func(b *inBlocks) []backend.Op { return b.ops()[1:] }},
		{name: "both are not supported together", want: "layernorm copy+linear copy+linear", lacks: []string{"layernorm+copy+linear"}, ops: (*inBlocks).ops},
		{name: "no conversion is supported", want: "layernorm copy linear linear", lacks: []string{"copy+linear"}, ops: (*inBlocks).ops},
		{name: "the norm is kept", want: "layernorm copy+linear copy+linear", ops: (*inBlocks).ops, keep: func(b *inBlocks) backend.Tensor { return b.norm.Dst }},
		{name: "the blocks are kept", want: "layernorm copy linear linear", ops: (*inBlocks).ops, keep: func(b *inBlocks) backend.Tensor { return b.copy.Dst }},
		{name: "the norm is read as it is", want: "layernorm copy+linear copy+linear add", ops: func(b *inBlocks) []backend.Op {
			return append(b.ops(), &backend.Add{Dst: f32(1, 64), A: b.norm.Dst, B: b.norm.X})
		}},
		{name: "the blocks are read as they are", want: "layernorm copy linear linear copy", ops: func(b *inBlocks) []backend.Op {
			return append(b.ops(), &backend.Copy{Dst: f32(1, 64), X: b.copy.Dst})
		}},
		{name: "what is converted changes between its readers", want: "layernorm copy linear copy linear", ops: func(b *inBlocks) []backend.Op {
			ops := b.ops()
			return append(ops[:3:3], &backend.Copy{Dst: b.norm.Dst, X: f32(1, 64)}, ops[3])
		}},
		{name: "blocks of weights", want: "copy linear", ops: func(b *inBlocks) []backend.Op {
			w := f32(8, 64)
			return []backend.Op{&backend.Copy{Dst: w, X: tensor(backend.Q8_0, 8, 64)}, &backend.Linear{Dst: f32(1, 8), X: f32(1, 64), W: w}}
		}},
	} {
		b := newInBlocks(2)
		ops := c.ops(b)
		keep := func(x backend.Tensor) bool { return c.keep != nil && x.Buf == c.keep(b).Buf }
		if got := names(backend.Fuse(&fake{joins: true, lacks: c.lacks}, ops, keep)); got != c.want {
			t.Errorf("%s: fused to\n%s, expected\n%s", c.name, got, c.want)
		}
	}
}

// TestFuseInBlocksIsInverseOfLower lowers a product with both before it.
func TestFuseInBlocksIsInverseOfLower(t *testing.T) {
	b := newInBlocks(1)
	fused := backend.Fuse(&fake{joins: true}, b.ops(), keepNone)
	if len(fused) != 1 {
		t.Fatalf("fused to %s, expected one op", names(fused))
	}
	lowered, err := backend.Prepare(&fake{}, fused...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.ops(), lowered, sameOps); diff != "" {
		t.Error(diff)
	}
}

// TestCheckInBlocks names products that cannot convert what they multiply to blocks.
func TestCheckInBlocks(t *testing.T) {
	product := func() *backend.Linear {
		return &backend.Linear{Dst: f32(2, 3), X: f32(2, 64), W: tensor(backend.Q8_0, 3, 64), Rounded: tensor(backend.Q8_A, 2, 64)}
	}
	if err := backend.Check(product()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(o *backend.Linear){
		"x is q8_a and rounded is q8_a, expected x of f32": func(o *backend.Linear) { o.X = tensor(backend.Q8_A, 2, 64) },
		"rounded is q8_a beside w of f16":                  func(o *backend.Linear) { o.W = tensor(backend.F16, 3, 64) },
		"rounded is q8_0 beside w of q8_0":                 func(o *backend.Linear) { o.Rounded = tensor(backend.Q8_0, 2, 64) },
		"x is rounded beside w of f32":                     func(o *backend.Linear) { o.W = f32(3, 64) },
		"rounded: dst has shape":                           func(o *backend.Linear) { o.Rounded = tensor(backend.Q8_A, 2, 32) },
	} {
		o := product()
		change(o)
		wantError(t, backend.Check(o), want)
	}
}
