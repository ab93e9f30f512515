package backend_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"caldera/backend"
)

// operands lists an op's operands by name.
func operands(op backend.Op) (list []string, byName map[string]*backend.Tensor, access map[string]backend.Access) {
	byName, access = map[string]*backend.Tensor{}, map[string]backend.Access{}
	op.Operands(func(name string, t *backend.Tensor, a backend.Access) {
		list = append(list, name)
		byName[name], access[name] = t, a
	})
	return list, byName, access
}

// eachOperand calls test with a pointer to each operand of each op in turn,
// and puts back what test does to it.
func eachOperand(t *testing.T, test func(t *testing.T, op backend.Op, name string, x *backend.Tensor, a backend.Access)) {
	for _, op := range samples() {
		if err := backend.Check(op); err != nil {
			t.Fatalf("%s: the sample is wrong: %v", op.Name(), err)
		}
		list, byName, access := operands(op)
		for _, name := range list {
			t.Run(op.Name()+"/"+name, func(t *testing.T) {
				before := *byName[name]
				test(t, op, name, byName[name], access[name])
				*byName[name] = before
			})
		}
	}
}

// optional operands may be absent, some of them together alone.
var optional = map[string]bool{"bias": true, "dbias": true, "probs": true, "residual": true, "scale": true, "loss_scale": true, "dsinks": true}

func TestCheckAbsent(t *testing.T) {
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, _ backend.Access) {
		*x = backend.Tensor{}
		err := backend.Check(op)
		switch {
		case optional[name], op.Name() == "attention" && name == "sinks", op.Name() == "rmsnorm_backward" && name == "dgamma":
			if err != nil {
				t.Errorf("without it: %v", err)
			}
		case op.Name() == "embedding" && (name == "positions" || name == "at"):
			wantError(t, err, "positions", "at", "go together", "absent")
		case op.Name() == "embedding_backward" && (name == "dpositions" || name == "at"):
			wantError(t, err, "dpositions", "at", "go together", "absent")
		case op.Name() == "store" && name == "table": // dst is of as many sequences as there are blocks
			if err != nil {
				t.Errorf("without it: %v", err)
			}
		case op.Name() == "attention" && name == "table": // and so probabilities are of fewer positions
			wantError(t, err, "probs has shape")
		default:
			wantError(t, err, name, "absent")
		}
	})
	op := &backend.Embedding{Dst: f32(2, 3, 5), Tokens: f32(11, 5), IDs: i32(2, 3)}
	if err := backend.Check(op); err != nil {
		t.Errorf("embedding without positions and at: %v", err)
	}
}

func TestCheckDType(t *testing.T) {
	f16Too := map[string]bool{ // beside f32; everything else has one dtype
		"attention/k": true, "attention/v": true, "copy/dst": true, "copy/x": true, "embedding/tokens": true,
		"embedding/positions": true, "linear/w": true, "store/dst": true,
	}
	pairs := map[string]string{ // f16 if the other is: the complaint is of that
		"attention/k": "v has dtype f32", "linear_backward/dy": "x has dtype f32", "linear_backward/x": "x has dtype f16",
	}
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, _ backend.Access) {
		right := x.DType
		for _, d := range []backend.DType{backend.F32, backend.F16, backend.I32} {
			x.DType = d
			err := backend.Check(op)
			id := op.Name() + "/" + name
			switch {
			case d == backend.F16 && pairs[id] != "":
				wantError(t, err, pairs[id], "expected one of [")
			case d == right || d == backend.F16 && f16Too[id] && op.Name() != "attention":
				if err != nil {
					t.Errorf("%v: %v", d, err)
				}
			case op.Name() == "copy":
				wantError(t, err, "cannot convert", "i32", "f32")
			default:
				wantError(t, err, name+" has dtype "+d.String(), "expected one of [", right.String())
			}
		}
	})
	for _, op := range []backend.Op{
		&backend.Linear{Dst: f32(2, 3), X: tensor(backend.F16, 2, 5), W: tensor(backend.F16, 3, 5)},
		&backend.Linear{Dst: f32(2, 3), X: f32(2, 64), W: tensor(backend.Q8_0, 3, 64), Rounded: tensor(backend.Q8_A, 2, 64)},
		&backend.LinearBackward{DW: f32(3, 5), DY: tensor(backend.F16, 2, 3), X: tensor(backend.F16, 2, 5)},
	} {
		if err := backend.Check(op); err != nil {
			t.Errorf("%s of two f16: %v", op.Name(), err)
		}
	}
	half := &backend.Attention{
		Dst: f32(2, 3, 8), Q: f32(2, 3, 8), K: tensor(backend.F16, 2, 7, 8), V: tensor(backend.F16, 2, 7, 8), At: places(6), Heads: 2, Scale: 0.5,
	}
	if err := backend.Check(half); err != nil {
		t.Errorf("attention over a cache of f16: %v", err)
	}
}

func TestCheckShape(t *testing.T) {
	// Lengths that no other operand shares: of tables, caches and what goes into them.
	free := map[string][]int{"argmax/x": {3}, "embedding/tokens": {2}, "embedding/positions": {2}, "store/dst": {1, 2},
		"embedding_backward/dtokens": {2}, "embedding_backward/dpositions": {2}, "cross_entropy/x": {3},
		"global_norm/x": {3}, "sum_squares/x": {3}, "rotary/angles": {2}, "sample/recent": {3},
		"attention with a table/table": {2}, "store with a table/table": {2, 3}, "store with a table/dst": {1}}
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, _ backend.Access) {
		right := *x
		for i := range 4 {
			dims := right.Shape
			dims[i]++
			*x = right.Reshape(dims[:]...)
			err := backend.Check(op)
			what := op.Name()
			op.Operands(func(name string, _ *backend.Tensor, _ backend.Access) {
				if name == "table" {
					what += " with a table"
				}
			})
			if slices.Contains(free[what+"/"+name], i) {
				if err != nil {
					t.Errorf("axis %d may have any length, got %v", i, err)
				}
				continue
			}
			wantError(t, err, "expected")
		}
	})
}

func TestCheckStride(t *testing.T) {
	anyStride := []string{
		"argmax/dst", "copy/dst", "copy/x", "embedding/ids",
		"embedding_backward/ids", "cross_entropy/targets", "cross_entropy/loss_scale",
		"adamw/scale", "dropout/seed", "sum_squares/dst",
		"rmsnorm_backward/stats", "scale/by",
	}
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, _ backend.Access) {
		right := *x
		for i := range x.Strides {
			x.Strides[i] *= 2
		}
		err := backend.Check(op)
		switch {
		case slices.Contains(anyStride, op.Name()+"/"+name):
			if err != nil {
				t.Errorf("stride 2: %v", err)
			}
		case name == "w" && op.Name() != "adamw" || name == "dw":
			wantError(t, err, name+" has strides [10 2]", "expected 1")
			*x = right.Reshape(1, 1, right.Shape[3], right.Shape[2]).Transpose()
			if err := backend.Check(op); err != nil {
				t.Errorf("transposed: %v", err)
			}
		default:
			wantError(t, err, name+" has stride 2", "expected 1")
		}
	})
}

// TestCheckOverlap lays each pair of operands over one another.
func TestCheckOverlap(t *testing.T) {
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, a backend.Access) {
		right := *x
		list, byName, access := operands(op)
		for _, other := range list {
			if other == name {
				continue
			}
			o := byName[other]
			x.Buf = o.Buf // both begin at 0
			err := backend.Check(op)
			if a.Writes() || access[other].Writes() {
				wantError(t, err, name, other, "share memory")
			} else if err != nil {
				t.Errorf("%s and %s are only read, and may share memory: %v", name, other, err)
			}
			// Side by side in one buffer.
			_, end := o.Span()
			x.Offset = (end + 3) / 4
			x.Buf = memory(2 * slack)
			before := o.Buf
			o.Buf = x.Buf
			if err := backend.Check(op); err != nil {
				t.Errorf("%s behind %s: %v", name, other, err)
			}
			o.Buf = before
			*x = right
		}
	})
}

// TestCheckSelfOverlap refuses to write a window that shows an element twice:
// the result would depend on the order of writing.
func TestCheckSelfOverlap(t *testing.T) {
	eachOperand(t, func(t *testing.T, op backend.Op, name string, x *backend.Tensor, a backend.Access) {
		if x.Rows() == 1 {
			return
		}
		for i := range 3 {
			if x.Shape[i] > 1 {
				x.Strides[i] = 0
			}
		}
		err := backend.Check(op)
		if a.Writes() {
			wantError(t, err, name, "more than once")
		} else if err != nil {
			t.Errorf("%s is only read, and may repeat its rows: %v", name, err)
		}
	})
	// Rows that interleave without touching are fine: halves of a cache.
	wide := f32(3, 10)
	op := &backend.Add{Dst: wide.Slice(-1, 0, 5), A: f32(3, 5), B: f32(3, 5)}
	if err := backend.Check(op); err != nil {
		t.Errorf("half of wider rows: %v", err)
	}
	if err := backend.Check(&backend.Copy{Dst: f32(5, 3).Transpose(), X: f32(3, 5)}); err != nil {
		t.Errorf("a transposed destination: %v", err)
	}
}

func TestCheckValues(t *testing.T) {
	for _, epsilon := range []float64{0, -1, math.NaN()} {
		op := &backend.LayerNorm{Dst: f32(3, 5), X: f32(3, 5), Gamma: f32(5), Beta: f32(5), Epsilon: float32(epsilon)}
		wantError(t, backend.Check(op), "epsilon", "expected a number above 0")
		rms := &backend.RMSNorm{Dst: f32(3, 5), X: f32(3, 5), Gamma: f32(5), Epsilon: float32(epsilon)}
		wantError(t, backend.Check(rms), "epsilon", "expected a number above 0")
		back := &backend.RMSNormBackward{DX: f32(3, 5), X: f32(3, 5), DY: f32(3, 5), Gamma: f32(5), Stats: f32(3, 1), Epsilon: float32(epsilon)}
		wantError(t, backend.Check(back), "epsilon", "expected a number above 0")
	}
	rotary := func(heads, width, angles int, p backend.Pairing) error {
		return backend.Check(&backend.Rotary{Dst: f32(1, 3, width), X: f32(1, 3, width), Angles: f32(7, angles), At: places(3), Heads: heads, Pairing: p})
	}
	for _, heads := range []int{0, -1, 5, 9, 16, math.MinInt} {
		wantError(t, rotary(heads, 8, 2, backend.Halves), "x is 8 wide", "heads")
	}
	for _, angles := range []int{1, 3, 6, 8} {
		wantError(t, rotary(2, 8, angles, backend.Halves), fmt.Sprintf("angles is %d wide", angles), "at most 4 in all")
	}
	wantError(t, rotary(2, 8, 4, 2), "pairing is pairing(2), expected halves or neighbours")
	for _, p := range []backend.Pairing{backend.Halves, backend.Neighbours} {
		for _, angles := range []int{2, 4} {
			if err := rotary(2, 8, angles, p); err != nil {
				t.Errorf("%d cosines and sines, %v: %v", angles, p, err)
			}
		}
	}
	scale := func(by ...int) error {
		return backend.Check(&backend.Scale{Dst: f32(2, 3, 4, 5), X: f32(2, 3, 4, 5), By: f32(by...)})
	}
	for _, by := range [][]int{{2, 3, 4, 1}, {1, 1, 1, 1}, {1, 1, 4, 1}, {1, 3, 1, 1}, {2, 1, 1, 1}, {3, 4, 1}} {
		if err := scale(by...); err != nil {
			t.Errorf("[2 3 4 5] by %v: %v", by, err)
		}
	}
	for _, by := range [][]int{{2, 3, 4, 5}, {5}, {3, 1}, {1, 3, 2, 1}, {3, 1, 1, 1}, {1, 1, 1, 2}} {
		wantError(t, scale(by...), "by has shape [", "expected 1 along the last axis", "[2 3 4 5]")
	}
	for what, g := range map[string]backend.GatedActivation{
		"func is activation(6), expected one of": {Func: 6}, "limit is -1": {Limit: -1}, "limit is NaN": {Limit: float32(math.NaN())},
		"shift is +Inf": {Shift: float32(math.Inf(1))}, "shift is NaN": {Shift: float32(math.NaN())},
	} {
		wantError(t, backend.Check(&backend.GatedActivation{Dst: f32(5), Gate: f32(5), Up: f32(5), Func: g.Func, Limit: g.Limit, Shift: g.Shift}), what)
		wantError(t, backend.Check(&backend.GatedActivationBackward{DGate: f32(5), DUp: f32(5), Gate: f32(5), Up: f32(5), DY: f32(5),
			Func: g.Func, Limit: g.Limit, Shift: g.Shift}), what)
	}
	attention := func(heads, width, kv int) error {
		return backend.Check(&backend.Attention{
			Dst: f32(1, 3, width), Q: f32(1, 3, width), K: f32(1, 7, kv), V: f32(1, 7, kv), At: places(3), Heads: heads, Scale: 1,
		})
	}
	for _, heads := range []int{0, -1, 5, 9, 16, math.MinInt} {
		wantError(t, attention(heads, 8, 8), "q is 8 wide", "heads")
	}
	for _, kv := range []int{1, 3, 6, 10, 16} { // heads of 2, and 3 does not divide 4
		wantError(t, attention(4, 8, kv), "k is", "expected heads of 2 whose number divides 4")
	}
	for _, kv := range []int{2, 4, 8} {
		if err := attention(4, 8, kv); err != nil {
			t.Errorf("4 heads of 2 over keys of %d: %v", kv, err)
		}
	}
	backward := func(heads, width, kv int) error { return backend.Check(attentionBackward(heads, width, kv)) }
	for _, heads := range []int{0, -1, 5, 9, 16, math.MinInt} {
		wantError(t, backward(heads, 8, 8), "q is 8 wide", "heads")
	}
	for _, kv := range []int{1, 3, 6, 10, 16} { // heads of 2, and 3 does not divide 4
		wantError(t, backward(4, 8, kv), "k is", "expected heads of 2 whose number divides 4")
	}
	for _, kv := range []int{2, 4, 8} {
		if err := backward(4, 8, kv); err != nil {
			t.Errorf("gradients of 4 heads of 2 over keys of %d: %v", kv, err)
		}
	}
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		what           string
		scale, softCap float32
		window         int
	}{
		{"scale is 0", 0, 0, 0}, {"scale is -1", -1, 0, 0}, {"scale is NaN", inf - inf, 0, 0}, {"scale is +Inf", inf, 0, 0},
		{"window is -1", 1, 0, -1}, {"soft-cap is -2", 1, -2, 0}, {"soft-cap is NaN", 1, inf - inf, 0}, {"soft-cap is +Inf", 1, inf, 0},
	} {
		wantError(t, backend.Check(&backend.Attention{
			Dst: f32(1, 3, 8), Q: f32(1, 3, 8), K: f32(1, 7, 8), V: f32(1, 7, 8), At: places(3), Heads: 2, Scale: c.scale, SoftCap: c.softCap, Window: c.window,
		}), c.what, "expected")
		op := attentionBackward(2, 8, 8)
		op.Scale, op.SoftCap, op.Window = c.scale, c.softCap, c.window
		wantError(t, backend.Check(op), c.what, "expected")
	}
	frozen := attentionBackward(2, 8, 8)
	frozen.Sinks = f32(2)
	if err := backend.Check(frozen); err != nil {
		t.Errorf("sinks without a gradient: %v", err)
	}
	frozen.Sinks, frozen.DSinks = backend.Tensor{}, f32(2)
	wantError(t, backend.Check(frozen), "sinks is absent")
	gap := attentionBackward(2, 8, 8)
	gap.Stats = f32(1, 2, 3, 4).Slice(-1, 0, 2)
	wantError(t, backend.Check(gap), "stats has strides", "without gaps")
	wantError(t, backend.Check(&backend.CrossEntropy{Loss: f32(3), X: f32(3, 5), Targets: i32(3), Scale: float32(math.NaN())}), "scale is NaN")
	for _, rate := range []float64{-0.1, 1, math.NaN()} {
		op := &backend.Dropout{Dst: f32(5), X: f32(5), Seed: i32(4), Rate: float32(rate)}
		wantError(t, backend.Check(op), "rate is", "expected a number from 0 to below 1")
	}
	for _, limit := range []float64{-1, 0, math.NaN()} {
		op := &backend.GlobalNorm{Dst: f32(2), X: f32(5), Max: float32(limit)}
		wantError(t, backend.Check(op), "norm is", "expected a number above 0")
	}
	adamW := func(beta float64, epsilon, decay float64) error {
		return backend.Check(&backend.AdamW{W: f32(5), M: f32(5), V: f32(5), G: f32(5), Step: f32(3),
			Beta1: beta, Beta2: beta, Epsilon: float32(epsilon), Decay: float32(decay)})
	}
	wantError(t, adamW(1, 1e-8, 0), "betas are 1 and 1")
	wantError(t, adamW(math.NaN(), 1e-8, 0), "betas are NaN and NaN")
	wantError(t, adamW(0.9, 0, 0), "epsilon is 0")
	wantError(t, adamW(0.9, 1e-8, -1), "decay is -1")
	for a, text := range map[backend.Activation]string{backend.NoActivation: "none", backend.SiLU + 1: "activation(6)"} {
		want := "func is " + text + ", expected one of gelu_tanh, gelu_erf, gelu_sigmoid, relu, silu"
		wantError(t, backend.Check(&backend.Activate{Dst: f32(5), X: f32(5), Func: a}), want)
		wantError(t, backend.Check(&backend.ActivateBackward{DX: f32(5), X: f32(5), DY: f32(5), Func: a}), want)
	}
	linear := &backend.Linear{Dst: f32(2, 4), X: f32(2, 5), W: f32(4, 5), Activation: backend.SiLU + 1, Sum: f32(2, 4)}
	wantError(t, backend.Check(linear), "activation is activation(6), expected one of none, gelu_tanh,")
	linear.Activation = backend.NoActivation
	wantError(t, backend.Check(linear), "sum is f32[2 4], expected none: there is no activation, no residual, no rotation and no gate")
	op := &backend.Attention{Q: f32(1, 3, 8), K: f32(1, 7, 4), Heads: 4}
	if op.HeadSize() != 2 || op.Groups() != 2 {
		t.Errorf("heads of %d in %d groups, expected 2 and 2", op.HeadSize(), op.Groups())
	}
}

func attentionBackward(heads, width, kv int) *backend.AttentionBackward {
	return &backend.AttentionBackward{
		DQ: f32(1, 3, width), DK: f32(1, 3, kv), DV: f32(1, 3, kv), Q: f32(1, 3, width), K: f32(1, 3, kv), V: f32(1, 3, kv),
		DY: f32(1, 3, width), Stats: f32(1, max(1, heads), 3, 2), Heads: heads, Scale: 1,
	}
}

// TestCheckOverlapOfSlices lays slices of one tensor beside one another, and over
// one another.
func TestCheckOverlapOfSlices(t *testing.T) {
	slices := func(from int) *backend.AttentionBackward {
		op := attentionBackward(2, 8, 4)
		all, grads := f32(1, 3, 16), f32(1, 3, 20)
		op.Q, op.K, op.V = all.Slice(-1, 0, 8), all.Slice(-1, 8, 12), all.Slice(-1, 12, 16)
		op.DQ, op.DK, op.DV = grads.Slice(-1, 0, 8), grads.Slice(-1, from, from+4), grads.Slice(-1, 14, 18)
		return op
	}
	for from := range 17 {
		err := backend.Check(slices(from))
		switch {
		case from < 8:
			wantError(t, err, "dq and dk share memory")
		case from > 10:
			wantError(t, err, "dk and dv share memory")
		case err != nil:
			t.Errorf("dk from column %d on: %v", from, err)
		}
	}
}

// TestCheckOverlapOfAnySlices asks of random slices of one tensor what the elements
// say.
func TestCheckOverlapOfAnySlices(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	shared, apart := 0, 0
	for range 20000 {
		all := backend.Of(memory(1<<16), backend.F32, r.IntN(5), 1+r.IntN(3), 1+r.IntN(3), 1+r.IntN(4), 1+r.IntN(9))
		for i, stride := 2, all.Shape[3]+r.IntN(3); i >= 0; i-- { // with gaps, of another size along each axis
			all.Strides[i] = stride
			stride = stride*all.Shape[i] + r.IntN(3)
		}
		dims := [4]int{}
		for i, n := range all.Shape {
			dims[i] = 1 + r.IntN(n)
		}
		cut := func() backend.Tensor {
			x := all
			for i, n := range dims {
				from := r.IntN(all.Shape[i] - n + 1)
				x = x.Slice(i, from, from+n)
			}
			return x
		}
		dst, x := cut(), cut()
		elements := map[int]bool{}
		visit := func(x backend.Tensor, f func(at int)) {
			for i := range x.Rows() {
				for j := range x.Dim(-1) {
					f(x.Row(i) + j)
				}
			}
		}
		visit(dst, func(at int) { elements[at] = true })
		want := false
		visit(x, func(at int) { want = want || elements[at] })
		err := backend.Check(&backend.Copy{Dst: dst, X: x})
		if got := err != nil; got != want {
			t.Fatalf("%v at %d and %d, strides %v: they share elements: %v, the error is %v", dst, dst.Offset, x.Offset, dst.Strides, want, err)
		}
		if want {
			shared++
		} else {
			apart++
		}
	}
	if shared < 1000 || apart < 1000 {
		t.Errorf("%d pairs share elements and %d do not, expected many of both", shared, apart)
	}
}

// TestCheckRuns refuses tokens that are not whole runs, and blocks that no table can
// address.
func TestCheckRuns(t *testing.T) {
	attention := func(run, block, blocks int) error {
		k := f32(5, block, 8)
		return backend.Check(&backend.Attention{
			Dst: f32(2, 12, 8), Q: f32(2, 12, 8), K: k, V: k, At: places(24), Table: i32(3, blocks), Heads: 2, Run: run, Scale: 1,
		})
	}
	for _, run := range []int{0, 1, 2, 3, 12} {
		if err := attention(run, 4, 2); err != nil {
			t.Errorf("runs of %d of 12 tokens: %v", run, err)
		}
	}
	for _, run := range []int{-1, 5, 24} {
		wantError(t, attention(run, 4, 2), "run is", "12 tokens")
	}
	for _, block := range []int{1, 2, 64} {
		if err := attention(0, block, 2); err != nil {
			t.Errorf("blocks of %d: %v", block, err)
		}
	}
	wantError(t, attention(0, 6, 2), "k has blocks of 6", "power of two")
	wantError(t, backend.Check(&backend.Store{Dst: f32(5, 3, 8), X: f32(1, 2, 8), At: places(2), Table: i32(3, 2)}), "dst has blocks of 3")
	huge := i32(1)
	huge.Shape[3], huge.Strides[3] = 1<<30, 0 // as many as no tensor has
	store := &backend.Store{Dst: f32(5, 4, 8), X: f32(1, 2, 8), At: places(2), Table: huge}
	wantError(t, store.Check(), "i32")
}
