package nn_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"caldera/backend"
	"caldera/backend/calltrace"
	"caldera/conformance"
	"caldera/nn"
)

// network is a little model in which every rule takes part, tensors are used
// several times, and the embedding is the head too.
type network struct {
	b                 backend.Backend
	params            *nn.Parameters
	ids, targets      nn.Tensor
	at                nn.Places
	training          nn.Training
	tokens, positions nn.Tensor
	norm              nn.Norm
	qkv, up, down     nn.Linear
}

const (
	netBatch, netTime, netWidth, netVocab = 2, 3, 4, 5
	netHeads                              = 2
)

func newNetwork(t *testing.T) *network { return networkOf(t, false) }

// networkOf has its matrices read in f16, or not.
func networkOf(t *testing.T, half bool) *network {
	b := conformance.Reference()
	r := rand.New(rand.NewPCG(1, 2))
	n := &network{b: b}
	random := func(dims ...int) nn.Tensor {
		x := f32(t, b, dims...)
		values := make([]float32, x.Len())
		for i := range values {
			values[i] = float32(r.NormFloat64() / 2)
		}
		if err := backend.SetF32(b, x, values); err != nil {
			t.Fatal(err)
		}
		return x
	}
	ints := func(limit int32, dims ...int) nn.Tensor {
		x := tensor(t, b, backend.I32, dims...)
		values := make([]int32, x.Len())
		for i := range values {
			values[i] = r.Int32N(limit)
		}
		if err := backend.SetI32(b, x, values); err != nil {
			t.Fatal(err)
		}
		return x
	}
	n.ids, n.targets = ints(netVocab, netBatch, netTime), ints(netVocab, netBatch, netTime)
	n.at = placesFrom(t, n.b, netTime, make([]int32, netBatch)...)
	n.training = nn.Training{Share: 1, Dropout: 0.2, Seed: ints(math.MaxInt32, 4)}
	n.tokens, n.positions = random(netVocab, netWidth), random(7, netWidth)
	n.norm = nn.Norm{Gamma: random(netWidth), Beta: random(netWidth), Epsilon: 1e-2}
	n.qkv = nn.Linear{W: random(3*netWidth, netWidth), Bias: random(3 * netWidth)}
	n.up = nn.Linear{W: random(netWidth, 6).Transpose(), Bias: random(6)} // [out, in] stored as [in, out]
	n.down = nn.Linear{W: random(netWidth, 6)}
	var err error
	n.params, err = nn.NewParameters(b,
		nn.Parameter{Value: n.tokens, Half: half}, nn.Parameter{Value: n.positions}, nn.Parameter{Value: n.norm.Gamma},
		nn.Parameter{Value: n.norm.Beta}, nn.Parameter{Value: n.qkv.W, Half: half}, nn.Parameter{Value: n.qkv.Bias},
		nn.Parameter{Value: n.up.W, Half: half}, nn.Parameter{Value: n.up.Bias}, nn.Parameter{Value: n.down.W, Half: half})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// losses writes the network on a tape.
func (n *network) losses(tape *nn.Tape, chunk int) nn.Tensor {
	x := tape.Embed(n.tokens, n.positions, n.ids, n.at)
	y := tape.LayerNorm(n.norm, x)
	qkv := tape.Linear(n.qkv, y)
	part := func(i int) nn.Tensor { return qkv.Slice(-1, i*netWidth, (i+1)*netWidth) }
	x = tape.Add(x, tape.Attention(nn.Attention{Heads: netHeads}, part(0), part(1), part(2), n.at))
	tape.Segment()
	z := tape.LayerNorm(n.norm, x) // the same norm again
	h := tape.Linear(n.down, tape.Activate(backend.GELUTanh, tape.Linear(n.up, tape.Dropout(z))))
	tape.Segment()
	x = tape.Add(tape.Add(x, h), tape.Add(h, z))
	return tape.Keep(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, chunk))
}

func record(t *testing.T, tape *nn.Tape) *nn.Program {
	t.Helper()
	p, err := tape.Record()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func run(t *testing.T, p *nn.Program) {
	t.Helper()
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, b backend.Backend, x nn.Tensor) []float32 {
	t.Helper()
	if !x.Contiguous() {
		x = x.Transpose()
	}
	values := make([]float32, x.Len())
	if err := backend.GetF32(b, x, values); err != nil {
		t.Fatal(err)
	}
	return values
}

func set(t *testing.T, b backend.Backend, x nn.Tensor, values []float32) {
	t.Helper()
	if !x.Contiguous() {
		x = x.Transpose()
	}
	if err := backend.SetF32(b, x, values); err != nil {
		t.Fatal(err)
	}
}

// TestBackward holds the gradient of every parameter to finite differences of
// the forward pass, which a tape without training computes.
func TestBackward(t *testing.T) {
	for _, chunk := range []int{100, 4, 1} {
		testBackward(t, chunk, false)
		testBackward(t, chunk, true)
	}
}

func testBackward(t *testing.T, chunk int, recompute bool) {
	n := newNetwork(t)
	n.training.Recompute = recompute
	tape := nn.NewTape(n.b)
	tape.Train(n.params, n.training)
	tape.ClearGradients(n.params)
	tape.Backward(n.losses(tape, chunk))
	run(t, record(t, tape))

	tape = nn.NewTape(n.b)
	tape.Train(nil, n.training) // drops the same
	losses := n.losses(tape, 100)
	forward := record(t, tape)
	mean := func() (sum float64) {
		run(t, forward)
		values := get(t, n.b, forward.Tensor(losses))
		for _, v := range values {
			sum += float64(v) / float64(len(values))
		}
		return sum
	}
	for i, p := range n.params.List {
		values, grad := get(t, n.b, p.Value), get(t, n.b, p.Grad)
		largest := 0.0
		for j, v := range values {
			const h = 1. / 64
			values[j] = v + h
			set(t, n.b, p.Value, values)
			up := mean()
			values[j] = v - h
			set(t, n.b, p.Value, values)
			down := mean()
			values[j] = v
			set(t, n.b, p.Value, values)
			want := (up - down) / (2 * h)
			largest = max(largest, math.Abs(want))
			if got := float64(grad[j]); !(math.Abs(got-want) <= 5e-4+1e-2*math.Abs(want)) {
				t.Errorf("chunks of %d: parameter %d, %v: the gradient of element %d is %v, finite differences give %v",
					chunk, i, p.Value, j, got, want)
			}
		}
		if largest < 1e-2 {
			t.Errorf("parameter %d, %v: no gradient above %v: that shows nothing", i, p.Value, largest)
		}
	}
}

// TestBackwardMixed rounds matrices and what they are multiplied with to f16:
// gradients are those of f32 but for that, and the loss scale multiplies them.
func TestBackwardMixed(t *testing.T) {
	grads := func(half bool, scale float32, recompute bool) (grads [][]float32) {
		n := networkOf(t, half)
		n.training.Recompute = recompute
		if scale != 0 {
			n.training.LossScale = f32(t, n.b, 1)
			set(t, n.b, n.training.LossScale, []float32{scale})
		}
		tape := nn.NewTape(n.b)
		tape.Train(n.params, n.training)
		tape.Round(n.params)
		tape.ClearGradients(n.params)
		tape.Backward(n.losses(tape, 4))
		run(t, record(t, tape))
		for _, p := range n.params.List {
			grads = append(grads, get(t, n.b, p.Grad))
		}
		return grads
	}
	want, got := grads(false, 0, false), grads(true, 1024, false)
	for i, g := range got {
		apart, norm := 0.0, 0.0
		for j, v := range g {
			d := float64(v)/1024 - float64(want[i][j])
			apart += d * d
			norm += float64(want[i][j]) * float64(want[i][j])
		}
		if apart = math.Sqrt(apart / norm); !(apart < 3e-3) || apart == 0 {
			t.Errorf("parameter %d: the gradient is %v off that of f32, relative to its norm", i, apart)
		}
	}
	for i, g := range grads(true, 1024, true) {
		if !slices.Equal(g, got[i]) {
			t.Errorf("parameter %d: the gradient is another where blocks are computed again", i)
		}
	}
	// Too small for f16: 2⁻²⁴ is its smallest number.
	for i, g := range grads(true, 1e-9, false)[4:] {
		for _, v := range g {
			if v != 0 {
				t.Errorf("parameter %d: %v came through f16", i+4, v)
			}
		}
	}
}

// TestMixedOperands expects every product of a matrix, forward and backward, to
// read two f16: those are what GPUs multiply faster.
func TestMixedOperands(t *testing.T) {
	for _, recompute := range []bool{false, true} {
		n := networkOf(t, true)
		n.training.Recompute = recompute
		products := map[string]int{}
		n.b = calltrace.Wrap(n.b, calltrace.Hooks{After: func(c calltrace.Call) {
			if c.Method == calltrace.Record { // its ops are those of the Replays
				return
			}
			for _, op := range c.Ops {
				op.Operands(func(name string, x *nn.Tensor, _ backend.Access) {
					if !strings.HasPrefix(op.Name(), "linear") || name != "x" && name != "w" && name != "dy" {
						return
					}
					if products[op.Name()]++; x.DType != backend.F16 {
						t.Errorf("%s reads %s as %v", op.Name(), name, x.DType)
					}
				})
			}
		}})
		tape := nn.NewTape(n.b)
		tape.Train(n.params, n.training)
		tape.Round(n.params)
		tape.ClearGradients(n.params)
		tape.Backward(n.losses(tape, 100))
		run(t, record(t, tape))
		// Of four matrices: forward and for what goes in, and for themselves.
		if got := products["linear"]; got < 2*8 || products["linear_backward"] != 2*4 {
			t.Errorf("operands of products: %v", products)
		}
	}
}

// TestBackwardAdds runs a program that does not clear gradients twice.
func TestBackwardAdds(t *testing.T) {
	n := newNetwork(t)
	tape := nn.NewTape(n.b)
	tape.Train(n.params, n.training)
	tape.Backward(n.losses(tape, 4))
	p := record(t, tape)
	run(t, p)
	once := get(t, n.b, n.params.List[0].Grad)
	run(t, p)
	for i, v := range get(t, n.b, n.params.List[0].Grad) {
		if math.Abs(float64(v-2*once[i])) > 1e-6 {
			t.Errorf("element %d of the gradient is %v after one run and %v after two", i, once[i], v)
		}
	}
}

// TestBackwardShare gives each of two batches half of the say.
func TestBackwardShare(t *testing.T) {
	n := newNetwork(t)
	var grads [2][]float32
	for i, share := range []float32{1, 0.5} {
		tape := nn.NewTape(n.b)
		n.training.Share = share
		tape.Train(n.params, n.training)
		tape.ClearGradients(n.params)
		tape.Backward(n.losses(tape, 4))
		run(t, record(t, tape))
		grads[i] = get(t, n.b, n.params.List[0].Grad)
	}
	for i, v := range grads[0] {
		if math.Abs(float64(v-2*grads[1][i])) > 1e-6 {
			t.Errorf("element %d of the gradient is %v, and %v of half a share", i, v, grads[1][i])
		}
	}
}

// TestBackwardMemory expects scores to take the room of one chunk, however many
// there are.
func TestBackwardMemory(t *testing.T) {
	used := func(chunk int) (bytes int) {
		b := newCounting()
		head := nn.Linear{W: f32(t, b, 1000, 8)}
		params, err := nn.NewParameters(b, nn.Parameter{Value: head.W})
		if err != nil {
			t.Fatal(err)
		}
		x, targets := f32(t, b, 1, 64, 8), tensor(t, b, backend.I32, 1, 64)
		before := b.used()
		tape := nn.NewTape(b)
		tape.Train(params, nn.Training{Share: 1})
		tape.Keep(tape.CrossEntropy(head, tape.Activate(backend.GELUTanh, x), targets, chunk))
		if _, err := tape.Record(); err != nil {
			t.Fatal(err)
		}
		return b.used() - before
	}
	all, few := used(64), used(8)
	if scores := 4 * 1000; all < 64*scores || few > 8*scores+8192 {
		t.Errorf("scores of 64 positions of %d bytes: %d bytes are planned at once, %d in chunks of 8", scores, all, few)
	}
}

func TestTrainOps(t *testing.T) {
	b := newCounting()
	w, bias := f32(t, b, 3, 5), f32(t, b, 3)
	params, err := nn.NewParameters(b, nn.Parameter{Value: w.Transpose(), Decay: true}, nn.Parameter{Value: bias})
	if err != nil {
		t.Fatal(err)
	}
	tape := nn.NewTape(b)
	tape.ClearGradients(params)
	norm := tape.ClipGradients(params, 1)
	tape.AdamW(params, nn.AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.1}, f32(t, b, 3), norm.Slice(-1, 1, 2))
	run(t, record(t, tape))
	if got, want := strings.Join(b.ran, " "), "copy copy sum_squares sum_squares global_norm adamw adamw"; got != want {
		t.Errorf("ran %s, expected %s", got, want)
	}
	if grad := params.List[0].Grad; grad.Shape != w.Transpose().Shape || grad.Strides != w.Transpose().Strides {
		t.Errorf("the gradient of %v with strides %v is %v with %v", w.Transpose(), w.Transpose().Strides, grad, grad.Strides)
	}
	live := b.Live()
	params.Free()
	if b.Live() != live-7 { // three for each of two, and a row of zeros
		t.Errorf("freeing 2 parameters freed %d buffers, expected 7", live-b.Live())
	}
}

func TestAdamWStep(t *testing.T) {
	got := nn.AdamW{Beta1: 0.9, Beta2: 0.999}.Step(2, 0.5)
	for i, want := range []float32{0.5, 0.19, 0.001999} {
		if math.Abs(float64(got[i]-want)) > 1e-8 {
			t.Errorf("number %d of step 2 is %v, expected %v", i, got[i], want)
		}
	}
}

func TestParameterErrors(t *testing.T) {
	b := newCounting()
	w := f32(t, b, 3, 5)
	for _, c := range []struct {
		list []nn.Parameter
		free int64 // bytes; 0: any number
		part string
	}{
		{[]nn.Parameter{{Value: w}, {Value: w}}, 0, "there twice"},
		{[]nn.Parameter{{Value: w.Slice(-1, 0, 4)}}, 0, "contiguous or transposed"},
		{[]nn.Parameter{{Value: tensor(t, b, backend.F16, 3)}}, 0, "expected f32"},
		{[]nn.Parameter{{Value: f32(t, b, 2)}, {Value: w}}, 59, "out of memory"},
	} {
		live := b.Live()
		if c.free > 0 {
			b.Limit = int64(b.used()) + c.free
		}
		if _, err := nn.NewParameters(b, c.list...); err == nil || !strings.Contains(err.Error(), c.part) {
			t.Errorf("error %v lacks %q", err, c.part)
		}
		b.Limit = 0
		if b.Live() != live {
			t.Errorf("%s: %d buffers were left behind", c.part, b.Live()-live)
		}
	}
}

func TestBackwardErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(n *network, tape *nn.Tape)
		parts []string
	}{
		{"not trained", func(n *network, tape *nn.Tape) { tape.Backward(n.losses(tape, 4)) }, []string{"no loss of CrossEntropy"}},
		{"not a loss", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			n.losses(tape, 4)
			tape.Backward(tape.Activate(backend.GELUTanh, n.tokens))
		}, []string{"no loss of CrossEntropy", "[5 4]"}},
		{"no rule", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Softmax(tape.Embed(n.tokens, n.positions, n.ids, n.at))
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 1 (softmax)", "no rule"}},
		{"through a cache", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Embed(n.tokens, n.positions, n.ids, n.at)
			cache := tape.Store(f32(t, n.b, netBatch, 7, netWidth), x, n.at)
			x = tape.Attention(nn.Attention{Heads: netHeads}, x, cache, cache, n.at)
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 2 (attention)", "no gradient through a cache"}},
		{"tokens that are single", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x, at := tape.Embed(n.tokens, n.positions, n.ids, n.at), n.at
			at.Single = netTime
			x = tape.Attention(nn.Attention{Heads: netHeads}, x, x, x, at)
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 1 (attention)", "no gradient of tokens that are single"}},
		{"a bias alone", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Embed(n.tokens, n.positions, n.ids, n.at)
			x = tape.Linear(nn.Linear{W: f32(t, n.b, netWidth, netWidth), Bias: n.norm.Beta}, x)
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 1 (linear)", "the bias is a parameter, but the matrix is not"}},
		{"factors that are computed", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Embed(n.tokens, n.positions, n.ids, n.at)
			x = tape.Scale(x, tape.Softmax(x).Slice(-1, 0, 1))
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 2 (scale)", "gradient of by", "not a result of the tape or a parameter"}},
		{"factors that are a parameter", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Scale(tape.Embed(n.tokens, n.positions, n.ids, n.at), n.norm.Beta.Slice(-1, 0, 1))
			tape.Backward(tape.CrossEntropy(nn.Linear{W: n.tokens}, x, n.targets, 4))
		}, []string{"op 1 (scale)", "gradient of by", "not a result of the tape or a parameter"}},
		{"a head that is computed", func(n *network, tape *nn.Tape) {
			tape.Train(n.params, n.training)
			x := tape.Embed(n.tokens, n.positions, n.ids, n.at)
			tape.Backward(tape.CrossEntropy(nn.Linear{W: tape.Activate(backend.GELUTanh, n.tokens)}, x, n.targets, 4))
		}, []string{"cross entropy", "the head's matrix f32[5 4] is a result"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNetwork(t)
			tape := nn.NewTape(n.b)
			c.write(n, tape)
			_, err := tape.Record()
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q lacks %q", err, part)
				}
			}
			var op *backend.OpError
			if strings.HasPrefix(c.parts[0], "op ") && !errors.As(err, &op) {
				t.Errorf("%v is no OpError", err)
			}
		})
	}
}
