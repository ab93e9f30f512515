package nn_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"caldera/backend"
	"caldera/conformance"
	"caldera/nn"
)

// TestAdapter holds what adapters add, of a matrix and of two halves of one, to the formula in
// float64, and the gradients of their matrices to finite differences, where the matrix itself,
// in f32 and f16, is frozen.
func TestAdapter(t *testing.T) {
	for _, d := range []backend.DType{backend.F32, backend.F16} {
		t.Run(d.String(), func(t *testing.T) { testAdapter(t, d) })
	}
}

func testAdapter(t *testing.T, d backend.DType) {
	const rows, in, out, rank, scale = 5, 6, 8, 2, 1.5
	b := conformance.Reference()
	r := rand.New(rand.NewPCG(3, 4))
	numbers := func(n int) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(math.Round(r.NormFloat64()*64) / 64) // which f16 holds
		}
		return values
	}
	random := func(d backend.DType, dims ...int) nn.Tensor {
		x := tensor(t, b, d, dims...)
		data, err := backend.Encode(nil, d, numbers(x.Len()))
		if err == nil {
			err = b.Write(x.Buf, 0, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	w, bias := random(d, out, in), random(backend.F32, out)
	ids, tokens := tensor(t, b, backend.I32, 1, rows), random(backend.F32, rows, in)
	head, targets := nn.Linear{W: random(backend.F32, rows, out)}, tensor(t, b, backend.I32, 1, rows)
	for _, x := range []nn.Tensor{ids, targets} {
		if err := backend.SetI32(b, x, []int32{4, 0, 1, 3, 2}); err != nil {
			t.Fatal(err)
		}
	}
	by := tensor(t, b, backend.F32, 1)
	set(t, b, by, []float32{scale})
	seed := tensor(t, b, backend.I32, 4)
	params, err := nn.NewParameters(b, nn.Parameter{Value: random(backend.F32, rank, in)}, nn.Parameter{Value: random(backend.F32, out, rank)})
	if err != nil {
		t.Fatal(err)
	}
	defer params.Free()
	l := nn.Linear{W: w, Bias: bias, Adapter: nn.Adapter{A: params.List[0].Value, B: params.List[1].Value, Scale: by}}
	var seen nn.Tensor
	losses := func(tape *nn.Tape) nn.Tensor {
		x := tape.Pick(tokens, ids)
		y := tape.Linears(x, l.Rows(0, out/2), l.Rows(out/2, out))
		whole := tape.Linear(l, x)
		seen = tape.Keep(whole)
		halves := tape.Add(tape.Activate(backend.ReLU, y[0]), y[1])
		joined := tape.GatedActivation(nn.Gate{Func: backend.SiLU}, halves, y[1])
		return tape.Keep(tape.CrossEntropy(head, tape.Add(whole, tape.Linear(nn.Linear{W: random(backend.F32, out, out/2)}, joined)), targets, 100))
	}
	// Without training: no dropout.
	l.Adapter.Dropout = 0.4
	tape := nn.NewTape(b)
	losses(tape)
	p := record(t, tape)
	run(t, p)
	got := get(t, b, p.Tensor(seen))
	matrix := make([]float32, w.Len())
	data := make([]byte, w.Size())
	if err = b.Read(data, w.Buf, 0); err == nil {
		err = backend.Decode(matrix, d, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, bs, x, shift := get(t, b, l.Adapter.A), get(t, b, l.Adapter.B), get(t, b, tokens), get(t, b, bias)
	order := []int{4, 0, 1, 3, 2}
	for i := range rows {
		for o := range out {
			want := float64(shift[o])
			for k := range in {
				weight := float64(matrix[o*in+k])
				for j := range rank {
					weight += scale * float64(bs[o*rank+j]) * float64(a[j*in+k])
				}
				want += weight * float64(x[order[i]*in+k])
			}
			if g := float64(got[i*out+o]); math.Abs(g-want) > 1e-5*(1+math.Abs(want)) {
				t.Errorf("row %d, output %d: %v, expected %v", i, o, g, want)
			}
		}
	}

	training := nn.Training{Share: 1, Seed: seed}
	r = rand.New(rand.NewPCG(5, 6)) // the same other matrix on both tapes
	tape = nn.NewTape(b)
	tape.Train(params, training)
	tape.ClearGradients(params)
	tape.Backward(losses(tape))
	run(t, record(t, tape))
	r = rand.New(rand.NewPCG(5, 6))
	tape = nn.NewTape(b)
	tape.Train(nil, training) // drops the same
	all := losses(tape)
	forward := record(t, tape)
	mean := func() (sum float64) {
		run(t, forward)
		for _, v := range get(t, b, forward.Tensor(all)) {
			sum += float64(v) / rows
		}
		return sum
	}
	for i, p := range params.List {
		values, grad := get(t, b, p.Value), get(t, b, p.Grad)
		largest := 0.0
		for j, v := range values {
			const h = 1. / 128
			values[j] = v + h
			set(t, b, p.Value, values)
			up := mean()
			values[j] = v - h
			set(t, b, p.Value, values)
			down := mean()
			values[j] = v
			set(t, b, p.Value, values)
			want := (up - down) / (2 * h)
			largest = max(largest, math.Abs(want))
			if got := float64(grad[j]); math.Abs(got-want) > 1e-3+2e-2*math.Abs(want) {
				t.Errorf("matrix %d: the gradient of element %d is %v, finite differences give %v", i, j, got, want)
			}
		}
		if largest < 1e-2 {
			t.Errorf("matrix %d: no gradient above %v: that shows nothing", i, largest)
		}
	}
}
