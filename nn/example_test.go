package nn_test

import (
	"fmt"
	"log"

	"caldera/backend"
	_ "caldera/backend/cpu"
	"caldera/nn"
)

// numbers makes a tensor of some numbers.
func numbers(b backend.Backend, values []float32, dims ...int) nn.Tensor {
	x, err := backend.New(b, backend.F32, dims...)
	if err != nil {
		log.Fatal(err)
	}
	if err := backend.SetF32(b, x, values); err != nil {
		log.Fatal(err)
	}
	return x
}

// whole makes a tensor of ids.
func whole(b backend.Backend, values []int32, dims ...int) nn.Tensor {
	x, err := backend.New(b, backend.I32, dims...)
	if err != nil {
		log.Fatal(err)
	}
	if err := backend.SetI32(b, x, values); err != nil {
		log.Fatal(err)
	}
	return x
}

// A model is written on a tape, which is recorded once and runs as often as is
// wanted, on other contents of the same tensors.
func Example() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	layer := nn.Linear{
		W:    numbers(b, []float32{1, 0, 0, 1, 1, 1}, 3, 2), // [out, in]
		Bias: numbers(b, []float32{0, 0, -1}, 3),
	}
	x := numbers(b, []float32{0, 0}, 1, 2)

	t := nn.NewTape(b)
	y := t.Keep(t.Softmax(t.Linear(layer, x))) // [1, 3]; without Keep its memory serves again
	p, err := t.Record()
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	for _, input := range [][]float32{{0, 0}, {3, 0}, {3, 3}} {
		if err := backend.SetF32(b, x, input); err != nil {
			log.Fatal(err)
		}
		if err := p.Run(); err != nil {
			log.Fatal(err)
		}
		probabilities := make([]float32, 3)
		if err := backend.GetF32(b, p.Tensor(y), probabilities); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%.2f\n", probabilities)
	}
	// Output:
	// [0.42 0.42 0.16]
	// [0.71 0.04 0.26]
	// [0.11 0.11 0.79]
}

// A tape that trains computes gradients of its loss, and moves the parameters
// against them: here a table of what follows each of three tokens.
func ExampleTape_Train() {
	b, err := backend.Open("cpu")
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	tokens, positions := numbers(b, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, 3, 3), numbers(b, make([]float32, 9), 3, 3)
	head := nn.Linear{W: numbers(b, make([]float32, 9), 3, 3)}
	ids, targets := whole(b, []int32{0, 1, 2}, 1, 3), whole(b, []int32{1, 2, 0}, 1, 3)
	at, err := nn.NewPlaces(b, 1, 3) // a sequence of three tokens
	if err != nil {
		log.Fatal(err)
	}
	step := numbers(b, []float32{0, 0, 0}, 3)

	params, err := nn.NewParameters(b, nn.Parameter{Value: tokens}, nn.Parameter{Value: positions}, nn.Parameter{Value: head.W})
	if err != nil {
		log.Fatal(err)
	}
	adamW := nn.AdamW{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8}

	t := nn.NewTape(b)
	t.Train(params, nn.Training{Share: 1})
	t.ClearGradients(params)
	x := t.Embed(tokens, positions, ids, at)                 // [1, 3, 3]
	losses := t.Keep(t.CrossEntropy(head, x, targets, 1024)) // [1, 3]
	t.Backward(losses)
	norm := t.ClipGradients(params, 1)
	t.AdamW(params, adamW, step, norm.Slice(-1, 1, 2))
	p, err := t.Record()
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	for i := range 21 {
		if err := backend.SetF32(b, step, adamW.Step(i+1, 0.02)); err != nil {
			log.Fatal(err)
		}
		if err := p.Run(); err != nil {
			log.Fatal(err)
		}
		if i%10 == 0 {
			values := make([]float32, 3)
			if err := backend.GetF32(b, p.Tensor(losses), values); err != nil {
				log.Fatal(err)
			}
			fmt.Printf("step %d: loss %.1f\n", i, (values[0]+values[1]+values[2])/3)
		}
	}
	// Output:
	// step 0: loss 1.1
	// step 10: loss 0.7
	// step 20: loss 0.2
}
