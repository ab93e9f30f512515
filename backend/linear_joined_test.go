package backend_test

import (
	"testing"

	"caldera/backend"
)

// joined is a product with all that may come before it and behind it where it rotates.
func joined() *backend.Linear {
	at := places(6)
	return &backend.Linear{
		Dst: f32(2, 3, 16), X: f32(2, 3, 5), W: f32(16, 5), Bias: f32(16), Sum: f32(2, 3, 16),
		Norm:     backend.LinearNorm{Gamma: f32(5), Beta: f32(5), Epsilon: 1e-5, Normed: f32(2, 3, 5)},
		Rotation: backend.LinearRotation{Angles: f32(9, 4), At: at, Heads: 4},
		Store:    backend.LinearStore{Cache: f32(2, 9, 12), At: at, From: 4},
	}
}

// TestCheckJoined says what is wrong with what a product is joined with.
func TestCheckJoined(t *testing.T) {
	if err := backend.Check(joined()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(o *backend.Linear)
		want   []string
	}{
		{func(o *backend.Linear) { o.Norm.Gamma = backend.Tensor{} }, []string{"no gamma", "expected"}},
		{func(o *backend.Linear) { o.Norm.Gamma = f32(6) }, []string{"norm: gamma has shape [6], expected [5]"}},
		{func(o *backend.Linear) { o.Norm.Beta = f32(6) }, []string{"norm: beta has shape [6], expected [5]"}},
		{func(o *backend.Linear) { o.Norm.Epsilon = 0 }, []string{"norm: epsilon is 0"}},
		{func(o *backend.Linear) { o.Norm.Normed = backend.Tensor{} }, []string{"normed: absent"}},
		{func(o *backend.Linear) { o.X = tensor(backend.F16, 2, 3, 5); o.W = tensor(backend.F16, 16, 5) }, []string{"norm: x has dtype f16"}},
		{func(o *backend.Linear) { o.Rotation.Angles, o.Sum = backend.Tensor{}, backend.Tensor{} }, []string{"no angles", "expected"}},
		{func(o *backend.Linear) { o.Rotation = backend.LinearRotation{} }, []string{"sum is", "expected none"}},
		{func(o *backend.Linear) { o.Rotation.Heads = 3 }, []string{"rotation: x is 16 wide", "3 heads"}},
		{func(o *backend.Linear) { o.Rotation.At = places(5) }, []string{"rotation: at has shape"}},
		{func(o *backend.Linear) { o.Sum = backend.Tensor{} }, []string{"sum is absent"}},
		{func(o *backend.Linear) { o.Activation = backend.SiLU }, []string{"rotated", "no activation"}},
		{func(o *backend.Linear) { o.Residual = f32(2, 3, 16) }, []string{"rotated", "no residual"}},
		{func(o *backend.Linear) { o.Store.Cache = backend.Tensor{} }, []string{"no cache", "expected"}},
		{func(o *backend.Linear) { o.Store.From = 5 }, []string{"12 outputs from the 5-th on are stored, but there are 16"}},
		{func(o *backend.Linear) { o.Store.From = -1 }, []string{"12 outputs from the -1-th on"}},
		{func(o *backend.Linear) { o.Store.At = places(7) }, []string{"store: at has shape"}},
		{func(o *backend.Linear) { o.Store.Table = i32(2, 3) }, []string{"store: dst has blocks of 9 positions"}},
		{func(o *backend.Linear) { o.Store.Cache = i32(2, 9, 12) }, []string{"store: dst has dtype i32"}},
		{func(o *backend.Linear) { o.Norm.Normed = o.X }, []string{"share memory"}},
		{func(o *backend.Linear) { o.Store.Cache = o.Dst.Slice(-1, 0, 12) }, []string{"share memory"}},
	} {
		o := joined()
		c.change(o)
		wantError(t, backend.Check(o), c.want...)
	}
}

// TestCheckGate says what is wrong with a gate behind a product, and with a rotation of a part.
func TestCheckGate(t *testing.T) {
	gated := func() *backend.Linear {
		return &backend.Linear{Dst: f32(2, 3, 8), X: f32(2, 3, 5), W: f32(16, 5), Sum: f32(2, 3, 16), Gate: backend.LinearGate{On: true, Func: backend.SiLU, Limit: 7, Shift: 1}}
	}
	if err := backend.Check(gated()); err != nil {
		t.Fatal(err)
	}
	if got, want := backend.Label(gated()), "linear+gated_silu"; got != want || !gated().Joined() || !gated().HasEpilogue() {
		t.Errorf("label %q, joined %v, expected %q and true", got, gated().Joined(), want)
	}
	if flops, _ := backend.Cost(gated()); flops != 2*6*5*16 {
		t.Errorf("it costs %d operations, expected those of 16 outputs", flops)
	}
	for _, c := range []struct {
		change func(o *backend.Linear)
		want   []string
	}{
		{func(o *backend.Linear) { o.Gate.On, o.Dst = false, f32(2, 3, 16) }, []string{"not gated", "expected no function"}},
		{func(o *backend.Linear) { o.Gate.Limit = -1 }, []string{"gate: limit is -1"}},
		{func(o *backend.Linear) { o.Gate.Func = backend.SiLU + 1 }, []string{"gate: func is"}},
		{func(o *backend.Linear) { o.Dst = f32(2, 3, 16) }, []string{"dst has shape [2 3 16], expected [2 3 8]"}},
		{func(o *backend.Linear) { o.Sum = f32(2, 3, 8) }, []string{"sum has shape [2 3 8], expected [2 3 16]"}},
		{func(o *backend.Linear) { o.W, o.Dst = f32(15, 5), f32(2, 3, 7) }, []string{"w has 15 rows"}},
		{func(o *backend.Linear) { o.Activation = backend.SiLU }, []string{"gated", "no activation"}},
		{func(o *backend.Linear) { o.Residual = f32(2, 3, 8) }, []string{"gated", "no residual"}},
		{func(o *backend.Linear) { o.Store = backend.LinearStore{Cache: f32(2, 9, 8), At: places(6)} }, []string{"gated", "nothing to be stored"}},
	} {
		o := gated()
		c.change(o)
		wantError(t, backend.Check(o), c.want...)
	}
	part := joined()
	part.Sum, part.Rotation.Heads = f32(2, 3, 12), 3
	if err := backend.Check(part); err != nil {
		t.Error(err)
	}
	part.Sum = f32(2, 3, 13)
	wantError(t, backend.Check(part), "rotation: x is 13 wide", "3 heads")
	part.Sum = f32(2, 3, 20)
	wantError(t, backend.Check(part), "sum has shape [2 3 20], expected [2 3 16]")
}

// TestLabelJoined names what a product is joined with, in the order in which it is computed.
func TestLabelJoined(t *testing.T) {
	o := joined()
	if got, want := backend.Label(o), "layernorm+linear+rotary+store"; got != want || !o.Joined() {
		t.Errorf("label %q, joined %v, expected %q and true", got, o.Joined(), want)
	}
	o.Norm.Beta = backend.Tensor{}
	o.Rotation, o.Store = backend.LinearRotation{}, backend.LinearStore{}
	if got, want := backend.Label(o), "rmsnorm+linear"; got != want {
		t.Errorf("label %q, expected %q", got, want)
	}
	o.Norm = backend.LinearNorm{}
	if o.Joined() {
		t.Error("a product alone is joined")
	}
}
