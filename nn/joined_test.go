package nn

import (
	"slices"
	"testing"

	"caldera/backend"
	"caldera/conformance"
)

// TestGradientJoined has several ops write windows of one result, and expects
// each to get the gradient of its window: also where an op only hands it on to
// all of what it read.
func TestGradientJoined(t *testing.T) {
	const width, vocab = 2, 3
	b := conformance.Reference()
	values := func(from float32, dims ...int) Tensor {
		x, err := backend.New(b, backend.F32, dims...)
		data := make([]float32, x.Len())
		for i := range data {
			data[i] = from + float32(i*i%7)/8
		}
		if err == nil {
			err = backend.SetF32(b, x, data)
		}
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	gradient := func(join func(tape *Tape, x, y Tensor) Tensor) (grads [][]float32) {
		input := values(0.5, 1, 3, width)
		l, m := Linear{W: values(-0.2, width, width)}, Linear{W: values(0.1, width, width)}
		head := Linear{W: values(-0.5, vocab, width)}
		params, err := NewParameters(b, Parameter{Value: l.W}, Parameter{Value: m.W})
		if err != nil {
			t.Fatal(err)
		}
		targets, err := backend.New(b, backend.I32, 1, 3)
		if err != nil {
			t.Fatal(err)
		}
		tape := NewTape(b)
		tape.Train(params, Training{Share: 1})
		tape.Backward(tape.CrossEntropy(head, join(tape, tape.Linear(l, input), tape.Linear(m, input)), targets, 3))
		p, err := tape.Record()
		if err == nil {
			err = p.Run()
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range params.List {
			data := make([]float32, x.Grad.Len())
			if err := backend.GetF32(b, x.Grad, data); err != nil {
				t.Fatal(err)
			}
			grads = append(grads, data)
		}
		return grads
	}
	apart := gradient(func(tape *Tape, x, y Tensor) Tensor { return tape.Add(tape.Activate(backend.GELUTanh, x), y) })
	joined := gradient(func(tape *Tape, x, y Tensor) Tensor {
		both := tape.tensor(backend.F32, 1, 3, 2*width)
		tape.add(&backend.Copy{Dst: both.Slice(-1, 0, width), X: x})
		tape.add(&backend.Copy{Dst: both.Slice(-1, width, 2*width), X: y})
		return tape.Add(tape.Activate(backend.GELUTanh, both.Slice(-1, 0, width)), both.Slice(-1, width, 2*width))
	})
	if !slices.EqualFunc(joined, apart, slices.Equal[[]float32]) {
		t.Errorf("gradients are %v where the results are parts of one, expected %v", joined, apart)
	}
	for i, g := range apart {
		if slices.Max(g) < 1e-2 && slices.Min(g) > -1e-2 {
			t.Errorf("the gradient of matrix %d is %v: that shows nothing", i, g)
		}
	}
}
