package conformance

// The oracles of backward ops are formulas, which may be wrong. Here each is
// held to finite differences of the forward op's oracle.

import (
	"math"
	"testing"

	"caldera/backend"
)

// grid fills t with numbers that stay exact in float32 when a step of
// differentiate is added.
func grid(t backend.Tensor, name string) backend.Tensor {
	Normal(t, seed(name, 0), 0, 1)
	b := t.Buf.(*block)
	fill(t, func(i int) float64 { return math.Round(decode(b.dtype, b.data, i)*256) / 256 })
	return t
}

func f32(name string, dims ...int) backend.Tensor {
	return grid(exact.Tensor(backend.F32, dims...), name)
}

func zeros(dims ...int) backend.Tensor {
	x := exact.Tensor(backend.F32, dims...)
	Set(x, 0)
	return x
}

func integers(hi int, dims ...int) backend.Tensor {
	x := exact.Tensor(backend.I32, dims...)
	Uniform(x, seed("integers", hi), 0, hi)
	return x
}

// result is what an oracle leaves in dst.
func result(t *testing.T, op backend.Op, dst backend.Tensor) []float64 {
	t.Helper()
	if err := backend.Check(op); err != nil {
		t.Fatalf("%s: %v", op.Name(), err)
	}
	s := sheet{}
	if err := interpret(s, op); err != nil {
		t.Fatal(err)
	}
	return s.Load(dst).v
}

// against is a loss: the product of an op's result with dy, whose gradient dy is.
func against(t *testing.T, op backend.Op, dst, dy backend.Tensor) func() float64 {
	up := sheet{}.Load(dy).v
	return func() (loss float64) {
		for i, v := range result(t, op, dst) {
			loss += v * up[i]
		}
		return loss
	}
}

// differentiate moves each element of x, which is contiguous, and expects the
// loss to follow as the gradient says. Two central differences make one of
// fourth order (Richardson's extrapolation).
func differentiate(t *testing.T, name string, x backend.Tensor, loss func() float64, gradient []float64) {
	t.Helper()
	b := x.Buf.(*block)
	difference := func(i int, h float64) float64 {
		v := decode(b.dtype, b.data, i)
		encode(b.dtype, b.data, i, v+h)
		up := loss()
		encode(b.dtype, b.data, i, v-h)
		down := loss()
		encode(b.dtype, b.data, i, v)
		return (up - down) / (2 * h)
	}
	largest := 0.0
	for i, got := range gradient {
		want := (4*difference(i, 1./128) - difference(i, 1./64)) / 3
		largest = math.Max(largest, math.Abs(want))
		if !(math.Abs(got-want) <= 1e-5*(1+math.Abs(want))) {
			t.Errorf("%s: the gradient of element %d is %.8g, finite differences give %.8g", name, i, got, want)
		}
	}
	if largest < 1e-3 {
		t.Errorf("%s: no element has a gradient above %.2g: that shows nothing", name, largest)
	}
}

func TestGradientActivate(t *testing.T) {
	for _, f := range append(others(), backend.GELUTanh) {
		x, y, dy, dx := f32("x", 4, 9), zeros(4, 9), f32("dy", 4, 9), zeros(4, 9)
		for i := range x.Len() { // away from the corner of ReLU, by more than differences reach
			b := x.Buf.(*block)
			if v := decode(b.dtype, b.data, i); math.Abs(v) < 1./16 {
				encode(b.dtype, b.data, i, v+math.Copysign(1./16, v))
			}
		}
		got := result(t, &backend.ActivateBackward{DX: dx, X: x, DY: dy, Func: f}, dx)
		differentiate(t, f.String()+"/x", x, against(t, &backend.Activate{Dst: y, X: x, Func: f}, y, dy), got)
	}
}

func TestGradientLayerNorm(t *testing.T) {
	x, y, dy, dx := f32("x", 4, 9), zeros(4, 9), f32("dy", 4, 9), zeros(4, 9)
	gamma, beta, dgamma, dbeta := f32("gamma", 9), f32("beta", 9), zeros(9), zeros(9)
	loss := against(t, &backend.LayerNorm{Dst: y, X: x, Gamma: gamma, Beta: beta, Epsilon: 0.1}, y, dy)
	op := &backend.LayerNormBackward{DX: dx, DGamma: dgamma, DBeta: dbeta, X: x, DY: dy, Gamma: gamma, Stats: zeros(4, 2), Epsilon: 0.1}
	differentiate(t, "x", x, loss, result(t, op, dx))
	differentiate(t, "gamma", gamma, loss, result(t, op, dgamma))
	differentiate(t, "beta", beta, loss, result(t, op, dbeta))
}

// starting are the places of sequences of so many tokens that begin at these positions.
func starting(time int, at ...float64) backend.Tensor {
	p := exact.places(len(at), time)
	standAt(p, time, at...)
	return p
}

func TestGradientRMSNorm(t *testing.T) {
	x, y, dy, dx := f32("x", 4, 9), zeros(4, 9), f32("dy", 4, 9), zeros(4, 9)
	gamma, dgamma := f32("gamma", 9), zeros(9)
	loss := against(t, &backend.RMSNorm{Dst: y, X: x, Gamma: gamma, Epsilon: 0.1}, y, dy)
	op := &backend.RMSNormBackward{DX: dx, DGamma: dgamma, X: x, DY: dy, Gamma: gamma, Stats: zeros(4, 1), Epsilon: 0.1}
	differentiate(t, "x", x, loss, result(t, op, dx))
	differentiate(t, "gamma", gamma, loss, result(t, op, dgamma))
}

func TestGradientRotary(t *testing.T) {
	for _, pairing := range []backend.Pairing{backend.Halves, backend.Neighbours} {
		x, y, dy, dx := f32("x", 2, 3, 10), zeros(2, 3, 10), f32("dy", 2, 3, 10), zeros(2, 3, 10)
		angles, at := f32("angles", 7, 4), starting(3, 4, 1)
		loss := against(t, &backend.Rotary{Dst: y, X: x, Angles: angles, At: at, Heads: 2, Pairing: pairing}, y, dy)
		op := &backend.Rotary{Dst: dx, X: dy, Angles: angles, At: at, Heads: 2, Pairing: pairing, Inverse: true}
		differentiate(t, "x", x, loss, result(t, op, dx))
	}
}

func TestGradientScale(t *testing.T) {
	x, y, dy, dx := f32("x", 2, 3, 2, 5), zeros(2, 3, 2, 5), f32("dy", 2, 3, 2, 5), zeros(2, 3, 2, 5)
	by := f32("by", 1, 1, 2, 1)
	loss := against(t, &backend.Scale{Dst: y, X: x, By: by}, y, dy)
	differentiate(t, "x", x, loss, result(t, &backend.Scale{Dst: dx, X: dy, By: by}, dx))
}

// between moves numbers away from those at which a function has no derivative.
func between(x backend.Tensor, edges ...float64) backend.Tensor {
	v := sheet{}.Load(x).v
	fill(x, func(i int) float64 {
		for _, e := range edges {
			if math.Abs(v[i]-e) < 1./32 {
				return v[i] + 1./8
			}
		}
		return v[i]
	})
	return x
}

func TestGradientGatedActivation(t *testing.T) {
	for f := backend.NoActivation; f.Valid(); f++ {
		for _, limit := range []float32{0, 0.75} {
			edge := float64(limit)
			gate, up := between(f32("gate", 4, 9), 0, edge), between(f32("up", 4, 9), edge, -edge)
			y, dy, dgate, dup := zeros(4, 9), f32("dy", 4, 9), zeros(4, 9), zeros(4, 9)
			loss := against(t, &backend.GatedActivation{Dst: y, Gate: gate, Up: up, Func: f, Limit: limit, Shift: 0.5}, y, dy)
			op := &backend.GatedActivationBackward{DGate: dgate, DUp: dup, Gate: gate, Up: up, DY: dy, Func: f, Limit: limit, Shift: 0.5}
			differentiate(t, f.String()+": gate", gate, loss, result(t, op, dgate))
			differentiate(t, f.String()+": up", up, loss, result(t, op, dup))
		}
	}
}

func TestGradientLinear(t *testing.T) {
	for _, transposed := range []bool{false, true} {
		x, y, dy := f32("x", 5, 7), zeros(5, 4), f32("dy", 5, 4)
		w, dw, bias, dbias := f32("w", 4, 7), zeros(4, 7), f32("bias", 4), zeros(4)
		if transposed {
			w, dw = f32("w", 7, 4).Transpose(), zeros(7, 4).Transpose()
		}
		loss := against(t, &backend.Linear{Dst: y, X: x, W: w, Bias: bias}, y, dy)
		op := &backend.LinearBackward{DW: dw, DBias: dbias, DY: dy, X: x}
		got := dw
		if transposed { // elements in the order of memory
			w, got = w.Transpose(), dw.Transpose()
		}
		differentiate(t, "w", w, loss, result(t, op, got))
		differentiate(t, "bias", bias, loss, result(t, op, dbias))
		dx := zeros(5, 7)
		if transposed {
			w = w.Transpose()
		}
		differentiate(t, "x", x, loss, result(t, &backend.Linear{Dst: dx, X: dy, W: w.Transpose()}, dx))
	}
}

func TestGradientEmbedding(t *testing.T) {
	tokens, positions, ids, at := f32("tokens", 4, 3), f32("positions", 9, 3), integers(4, 2, 6), starting(6, 2, 0)
	y, dy, dtokens, dpositions := zeros(2, 6, 3), f32("dy", 2, 6, 3), zeros(4, 3), zeros(9, 3)
	loss := against(t, &backend.Embedding{Dst: y, Tokens: tokens, Positions: positions, IDs: ids, At: at}, y, dy)
	op := &backend.EmbeddingBackward{DTokens: dtokens, DPositions: dpositions, DY: dy, IDs: ids, At: at}
	differentiate(t, "tokens", tokens, loss, result(t, op, dtokens))
	differentiate(t, "positions", positions, loss, result(t, op, dpositions))
}

func TestGradientAttention(t *testing.T) {
	for _, c := range []struct {
		groups int
		scores scores
	}{
		{1, scores{}}, {2, scores{}}, {4, scores{}},
		{2, scores{scale: 0.8}}, {2, scores{window: 1}}, {2, scores{window: 3}}, {4, scores{window: 100}},
		{2, scores{softCap: 0.75}}, {1, scores{sinks: []float64{1, -0.5, 2, 0}}},
		{2, scores{scale: 0.9, window: 3, softCap: 1.5, sinks: []float64{0.5, 1}}},
	} {
		s := attentionBackwardShape{batch: 2, time: 5, heads: 4, groups: c.groups, size: 3, apart: true, scores: c.scores, layout: exact}
		op := s.op()
		names := []string{"q", "k", "v"}
		operands, gradients := []backend.Tensor{op.Q, op.K, op.V}, []backend.Tensor{op.DQ, op.DK, op.DV}
		grid(op.DY, "dy")
		y, at := zeros(s.batch, s.time, s.heads*s.size), starting(s.time, 0, 0)
		if !op.Sinks.Absent() {
			Set(op.Sinks, s.scores.sinks...)
			Set(op.DSinks, 0)
			names, operands, gradients = append(names, "sinks"), append(operands, op.Sinks), append(gradients, op.DSinks)
		}
		loss := against(t, &backend.Attention{
			Dst: y, Q: op.Q, K: op.K, V: op.V, At: at, Sinks: op.Sinks, Heads: s.heads, Scale: op.Scale, Window: op.Window, SoftCap: op.SoftCap,
		}, y, op.DY)
		for i, name := range names[:3] {
			grid(operands[i], name)
		}
		for i, name := range names {
			if what := name + s.scores.String(); name != "q" && name != "k" || s.scores.window != 1 { // a query that sees itself alone
				differentiate(t, what, operands[i], loss, result(t, op, gradients[i]))
			}
		}
	}
}

func TestGradientCrossEntropy(t *testing.T) {
	x, targets, losses := f32("x", 4, 7), integers(7, 4), zeros(4)
	Set(targets.Slice(-1, 2, 3), -100)
	op := &backend.CrossEntropy{Loss: losses, X: x, Targets: targets, Scale: 0.25}
	dy := zeros(4)
	Set(dy, 0.25)
	differentiate(t, "x", x, against(t, op, losses, dy), result(t, op, x))
}

// The clip factor times the gradient has the norm that is asked for.
func TestClip(t *testing.T) {
	x, y := f32("x", 5, 7), f32("y", 9)
	sums, norm := zeros(6), zeros(2)
	s := sheet{}
	for _, op := range []backend.Op{
		&backend.SumSquares{Dst: sums.Slice(-1, 0, 5).Reshape(5, 1), X: x},
		&backend.SumSquares{Dst: sums.Slice(-1, 5, 6).Reshape(1, 1), X: y},
		&backend.GlobalNorm{Dst: norm, X: sums, Max: 2},
	} {
		if err := interpret(s, op); err != nil {
			t.Fatal(err)
		}
	}
	total := 0.0
	for _, v := range append(s.Load(x).v, s.Load(y).v...) {
		total += v * v
	}
	got := s.Load(norm).v
	if math.Abs(got[0]-math.Sqrt(total)) > 1e-12 || math.Abs(got[0]*got[1]-2) > 1e-5 {
		t.Errorf("norm %v, clipped to %v; expected %v and 2", got[0], got[0]*got[1], math.Sqrt(total))
	}
}

// As many elements are dropped as the rate says, and the mean stays.
func TestDropoutKeepsTheMean(t *testing.T) {
	const n = 100000
	x, dst, seeds := zeros(n), zeros(n), integers(1<<30, 4)
	Set(x, 1)
	dropped, mean := 0, 0.0
	for _, v := range result(t, &backend.Dropout{Dst: dst, X: x, Seed: seeds, Rate: 0.2}, dst) {
		if v == 0 {
			dropped++
		}
		mean += v / n
	}
	if deviation := math.Sqrt(n * 0.2 * 0.8); math.Abs(float64(dropped)-0.2*n) > 5*deviation {
		t.Errorf("%d of %d are dropped, expected %d give or take %.0f", dropped, n, n/5, deviation)
	}
	if math.Abs(mean-1) > 0.01 {
		t.Errorf("the mean went from 1 to %v", mean)
	}
}
