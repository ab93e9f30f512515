package backend_test

import (
	"testing"

	"caldera/backend"
	"caldera/backend/null"
)

// TestRoundApart fuses and prepares products that round the x that they share, for a backend
// that rounds it by an op of its own: the products become one where they may, with what follows,
// and x is rounded once, unless something else is written to it or to what is rounded.
func TestRoundApart(t *testing.T) {
	for _, c := range []struct {
		name, want string
		between    func(x, rounded backend.Tensor) backend.Op
	}{
		{"nothing between", "round linear linear+gelu_tanh", nil},
		{"x is read", "round linear copy linear+gelu_tanh", func(x, _ backend.Tensor) backend.Op { return &backend.Copy{Dst: f32(2, 64), X: x} }},
		{"x is written", "round linear copy round linear+gelu_tanh", func(x, _ backend.Tensor) backend.Op { return &backend.Copy{Dst: x, X: f32(2, 64)} }},
		{"another x is rounded to the same", "round linear round linear round linear+gelu_tanh", func(_, rounded backend.Tensor) backend.Op {
			return &backend.Linear{Dst: f32(2, 8), X: f32(2, 64), W: tensor(backend.F16, 8, 64), Rounded: rounded}
		}},
	} {
		x, rounded, w, both, third := f32(2, 64), f32(2, 64), tensor(backend.F16, 20, 64), f32(2, 20), f32(2, 8)
		ops := []backend.Op{
			&backend.Linear{Dst: both.Slice(-1, 0, 12), X: x, W: w.Slice(-2, 0, 12), Rounded: rounded},
			&backend.Linear{Dst: both.Slice(-1, 12, 20), X: x, W: w.Slice(-2, 12, 20), Rounded: rounded},
		}
		if c.between != nil {
			ops = append(ops, c.between(x, rounded))
		}
		ops = append(ops, &backend.Linear{Dst: third, X: x, W: tensor(backend.Q8_0, 8, 64), Rounded: rounded},
			&backend.Activate{Dst: f32(2, 8), X: third, Func: backend.GELUTanh})
		b := &null.Backend{}
		got, err := backend.Prepare(b, backend.Fuse(b, ops, keepNone)...)
		if err != nil {
			t.Fatal(err)
		}
		if names(got) != c.want {
			t.Errorf("%s: prepared\n%s, expected\n%s", c.name, names(got), c.want)
		}
	}
}

// TestRoundWithNorm has products round behind the norm that they take, where they may.
func TestRoundWithNorm(t *testing.T) {
	norm := &backend.LayerNorm{Dst: f32(1, 64), X: f32(1, 64), Gamma: f32(64), Beta: f32(64), Epsilon: 1e-5}
	rounded := f32(1, 64)
	ops := []backend.Op{norm}
	for range 2 {
		ops = append(ops, &backend.Linear{Dst: f32(1, 8), X: norm.Dst, W: tensor(backend.F16, 8, 64), Rounded: rounded})
	}
	fused := backend.Fuse(&fake{joins: true}, ops, keepNone)
	if got, want := names(fused), "layernorm+round+linear layernorm+round+linear"; got != want {
		t.Errorf("fused to %s, expected %s", got, want)
	}
	if got, want := names(backend.Fuse(&null.Backend{}, ops, keepNone)), "layernorm round+linear round+linear"; got != want {
		t.Errorf("where x is rounded apart: fused to %s, expected %s", got, want)
	}
	lowered, err := backend.Prepare(&null.Backend{}, fused[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(lowered), "layernorm round linear"; got != want {
		t.Errorf("lowered to %s, expected %s", got, want)
	}
}
